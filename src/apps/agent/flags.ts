import { boolFlag, type Flags, stringFlag, stringListFlag } from '#ground/text/flags.ts'

/** @source openbao command/agent.go, command/base.go */
export const agentFlags = {
  config: stringListFlag({ usage: 'File or folder of configuration, HCL or JSON; may be given several times.' }),
  'config-strict': boolFlag({ usage: 'An unknown key is an error instead of a warning.' }),
  'exit-after-auth': boolFlag({ usage: 'End after every sink and template was written once.' }),
  address: stringFlag({ usage: 'Address of the server.' }),
  'ca-cert': stringFlag({ usage: 'CA certificates of the server, PEM file.' }),
  'ca-path': stringFlag({ usage: 'Folder of CA certificates.' }),
  'client-cert': stringFlag({ usage: 'Certificate to show the server.' }),
  'client-key': stringFlag({ usage: 'Its key.' }),
  namespace: stringFlag({ usage: 'Namespace of the requests.' }),
  'tls-server-name': stringFlag({ usage: "Name in the server's certificate." }),
  'tls-skip-verify': boolFlag({ usage: 'Trust whatever certificate the server shows.' }),
  'log-level': stringFlag({ usage: 'trace, debug, info, warn or error.' }),
  'log-format': stringFlag({ usage: 'standard or json.' }),
  'log-file': stringFlag({ usage: 'A file that log lines are added to, besides the standard output.' }),
} satisfies Flags
