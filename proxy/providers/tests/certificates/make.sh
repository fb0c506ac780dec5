#!/bin/sh
# Makes the certificates and signatures of this folder anew. The keys are thrown away: nobody can sign with them again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cd "$work"

root() { # name: a root of its own
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 36500 -subj "/CN=Test root" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
issue() { # file, key, issuer, issuer's key, extensions
    openssl req -new -key "$2.key" -subj "/CN=messageverificationcerts.paypal.com" -out request
    printf '%b' "$5" > extensions
    openssl x509 -req -in request -CA "$3.pem" -CAkey "$4.key" -CAcreateserial -days 36500 -sha256 \
        -extfile extensions -out "$1.pem"
}

root root
root other-root
openssl genrsa -out leaf.key 2048
openssl genrsa -out inter.key 2048
leaf='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n'
name='subjectAltName=DNS:messageverificationcerts.paypal.com\n'
authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'
issue leaf leaf root root "$leaf$name"
issue foreign leaf root root "${leaf}subjectAltName=DNS:paypal.com.example,DNS:notpaypal.com\n"
issue nameless leaf root root "$leaf"
issue code leaf root root "$leaf${name}extendedKeyUsage=codeSigning\n"
issue server leaf root root "$leaf${name}extendedKeyUsage=serverAuth,clientAuth\n"
issue ca leaf root root "$authority$name"
issue inter inter root root "$authority"
issue gap leaf inter inter "$leaf$name"
issue end inter root root "$leaf$name"
issue unfit leaf end inter "$leaf$name"
cat gap.pem inter.pem > chain.pem
cat unfit.pem end.pem > unfit-chain.pem
printf signed > text
openssl dgst -sha256 -sign leaf.key -out signature.bin text
openssl dgst -sha1 -sign leaf.key -out sha1.bin text
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sign leaf.key -out pss.bin text
cp leaf.pem foreign.pem nameless.pem code.pem server.pem ca.pem gap.pem chain.pem unfit-chain.pem root.pem \
    other-root.pem signature.bin sha1.bin pss.bin "$here"
rm -rf "$work"
