#!/bin/sh
# Makes the certificates, CRLs and OCSP answers of src/auth/cert/golden with OpenSSL 3, anew each time: keys are thrown away,
# so that the tests hold what OpenSSL made and nothing that could be used. Run it only to add a case.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$here/../../../src/auth/cert/golden"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
cd "$work"
# Valid from 2020 to 2120, but for those whose matter is time.
from=20200101000000Z
to=21200101000000Z

key() { # name, algorithm
  case $2 in
    ec) openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" ;;
    ed25519) openssl genpkey -quiet -algorithm ED25519 -out "$1.key" ;;
    rsa) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key" ;;
  esac
}

authority() { # name: what `openssl ca` needs to sign as it
  mkdir -p "$1.ca"
  : >"$1.ca/index.txt"
  echo 'unique_subject = no' >"$1.ca/index.txt.attr"
  echo "${2:-1000}" >"$1.ca/serial"
  echo 01 >"$1.ca/crlnumber"
  cat >"$1.cnf" <<CNF
[ ca ]
default_ca = it
[ it ]
dir = $work/$1.ca
database = \$dir/index.txt
serial = \$dir/serial
crlnumber = \$dir/crlnumber
new_certs_dir = \$dir
certificate = $work/$1.pem
private_key = $work/$1.key
default_md = sha256
policy = any
email_in_dn = no
copy_extensions = none
[ any ]
organizationName = optional
organizationalUnitName = optional
commonName = optional
CNF
}

sign() { # name, subject, signer, extensions [, from, to]
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr" 2>/dev/null
  printf '%b' "$4" >"$1.ext"
  openssl ca -batch -notext -config "$3.cnf" -in "$1.csr" -out "$1.pem" -extfile "$1.ext" \
    -startdate "${5:-$from}" -enddate "${6:-$to}" ${7:-} 2>/dev/null
  cp "$1.pem" "$out/$1.pem"
}

root() { # name, subject, algorithm, extensions
  key "$1" "$3"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr" 2>/dev/null
  authority "$1" "${5:-01}"
  printf '%b' "$4" >"$1.ext"
  openssl ca -batch -notext -selfsign -keyfile "$1.key" -config "$1.cnf" -in "$1.csr" -out "$1.pem" -extfile "$1.ext" \
    -startdate "$from" -enddate "$to" 2>/dev/null
  cp "$1.pem" "$out/$1.pem"
}

ca='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
client='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'

root root '/O=example/CN=root' ec "$ca"
root other '/O=example/CN=other' rsa "$ca"
# The same name as root, and another key.
root twin '/O=example/CN=root' ec "$ca"

key between ec; sign between '/O=example/CN=between' root "$ca"; authority between 2000
key short ec; sign short '/CN=short' root "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"; authority short 3000
key below ec; sign below '/CN=below' short "$ca"; authority below 3100
key noca ec; sign noca '/CN=noca' root "$client"; authority noca 3200
key nosign ec; sign nosign '/CN=nosign' root "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\nsubjectKeyIdentifier=hash\n"; authority nosign 3300
key ended ec; sign ended '/CN=ended' root "$ca" "$from" 20210101000000Z; authority ended 3400
key serverca ec; sign serverca '/CN=serverca' root "${ca}extendedKeyUsage=serverAuth\n"; authority serverca 3500
key named ec; sign named '/CN=named' root "${ca}nameConstraints=critical,permitted;DNS:.in.example,excluded;DNS:.bad.in.example\n"; authority named 3600

leaf() { # name, subject, signer [, more extensions, from, to, algorithm]
  key "$1" "${7:-ec}"
  sign "$1" "$2" "$3" "$client${4:-}" "${5:-$from}" "${6:-$to}"
}
leaf bob '/O=example/OU=dev/OU=ops/CN=bob' root \
  'subjectAltName=DNS:bob.example,DNS:*.bob.example,email:bob@example.org,URI:spiffe://example/bob\n1.2.3.4=ASN1:UTF8String:blue\n1.2.3.5=ASN1:IA5String:green\n1.2.3.6=DER:04:02:ab:cd\n'
leaf rsa '/CN=rsa' other '' "$from" "$to" rsa
leaf ed '/CN=ed' root '' "$from" "$to" ed25519
leaf nested '/CN=nested' between
leaf toodeep '/CN=toodeep' below
leaf byleaf '/CN=byleaf' noca
leaf bynosign '/CN=bynosign' nosign
leaf byended '/CN=byended' ended
leaf byserverca '/CN=byserverca' serverca
leaf inside '/CN=inside' named 'subjectAltName=DNS:a.in.example\n'
leaf outside '/CN=outside' named 'subjectAltName=DNS:a.out.example\n'
leaf excluded '/CN=excluded' named 'subjectAltName=DNS:a.bad.in.example\n'
leaf expired '/CN=expired' root '' "$from" 20210101000000Z
leaf early '/CN=early' root '' 21000101000000Z "$to"
leaf bytwin '/O=example/CN=bob' twin
leaf revoked '/CN=revoked' root
leaf nobody '/O=example' root
key server ec; sign server '/CN=server' root 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\n'
key anyuse ec; sign anyuse '/CN=anyuse' root 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n'
leaf critical '/CN=critical' root '1.2.3.99=critical,ASN1:UTF8String:unknown\n'

openssl ca -config root.cnf -revoke revoked.pem 2>/dev/null
openssl ca -config root.cnf -gencrl -crl_lastupdate "$from" -crl_nextupdate "$to" -out "$out/root.crl.pem" 2>/dev/null
openssl ca -config other.cnf -gencrl -crl_lastupdate "$from" -crl_nextupdate "$to" -out "$out/other.crl.pem" 2>/dev/null
openssl ca -config root.cnf -revoke between.pem 2>/dev/null
openssl ca -config root.cnf -gencrl -crl_lastupdate "$from" -crl_nextupdate "$to" -out "$out/between-revoked.crl.pem" 2>/dev/null

# Answers of a responder, as they go over the wire: by the issuer itself, by one to whom it gave the purpose, by somebody else.
key signer ec; sign signer '/CN=signer' root 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=OCSPSigning\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
answer() { # name, certificate, signer, options
  openssl ocsp -issuer root.pem -cert "$2.pem" -no_nonce -reqout request.der >/dev/null 2>&1
  openssl ocsp -index root.ca/index.txt -CA root.pem -rsigner "$3.pem" -rkey "$3.key" -reqin request.der \
    -respout "$out/$1.ocsp" -ndays 36500 ${4:-} >/dev/null 2>&1
}
answer good bob root
answer good-bare bob root -resp_no_certs
answer good-delegated bob signer
answer revoked revoked root
answer revoked-delegated revoked signer
answer stranger bob other
answer client bob ed
openssl ocsp -issuer root.pem -cert bob.pem -no_nonce -reqout request.der >/dev/null 2>&1
: >empty.txt
openssl ocsp -index empty.txt -CA root.pem -rsigner root.pem -rkey root.key -reqin request.der \
  -respout "$out/unknown.ocsp" -ndays 36500 >/dev/null 2>&1
openssl ocsp -index root.ca/index.txt -CA root.pem -rsigner root.pem -rkey root.key -reqin request.der \
  -respout "$out/short.ocsp" -nmin 60 >/dev/null 2>&1
