// Starts a bundle in an image with V8's code cache beside it: node load.cjs APP.cjs [arguments]. The cache is bound to
// this Node binary, not to a user id as NODE_COMPILE_CACHE is, so it serves pods of any user on a read-only root.
// With COFFER_MAKE_CODE_CACHE=1 (image build only) the cache is written at exit, after the program has run: functions
// that ran are in it. V8 checks its own version, its flags and the length of the source, never the text: bundle and
// cache are made in one step.
'use strict'
const fs = require('node:fs')
const path = require('node:path')
const vm = require('node:vm')
const { createRequire } = require('node:module')

const file = path.resolve(process.argv[2])
const cacheFile = `${file}.cache`
const making = process.env.COFFER_MAKE_CODE_CACHE === '1'
delete process.env.COFFER_MAKE_CODE_CACHE
// The program finds itself at argv[1], as when Node starts it.
process.argv.splice(1, 2, file)

let cachedData
try {
  if (!making) cachedData = fs.readFileSync(cacheFile)
} catch {
  // No cache: compiled as usual.
}
const script = new vm.Script(
  `(function (exports, require, module, __filename, __dirname) {${fs.readFileSync(file, 'utf8')}\n})`,
  { filename: file, cachedData, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER },
)
if (cachedData && script.cachedDataRejected && process.env.COFFER_CODE_CACHE === 'require') {
  throw new Error(`${cacheFile} was made by another Node or with other flags`)
}
if (making) process.once('exit', () => fs.writeFileSync(cacheFile, script.createCachedData()))
const module_ = { exports: {} }
script.runInThisContext()(module_.exports, createRequire(file), module_, file, path.dirname(file))
