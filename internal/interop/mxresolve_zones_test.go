//go:build unix

package interop

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
)

func hexSum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// spki is the digest of a certificate's key, for TLSA records of the selector 1.
func spki(c tls.Certificate) string { return hexSum(c.Leaf.RawSubjectPublicKeyInfo) }

// zones are what knot serves: dane.test is signed, broken.test is signed with keys that are not those above it.
func (l *mxLab) zones() map[string]string {
	return map[string]string{
		"dane.test": `
@ MX 10 mx
@ MX 20 mx2
mx A 127.0.0.1
mx2 A 127.0.0.1
_25._tcp.mx TLSA 3 1 1 ` + spki(l.leaf) + `
_25._tcp.mx TLSA 3 1 1 ` + spki(l.rolled) + `
_25._tcp.mx TLSA 3 1 1 ` + spki(l.expired) + `
_25._tcp.mx2 TLSA 2 0 1 ` + hexSum(l.ca.Certificate().Raw) + `
alias CNAME dane.test.
plain A 127.0.0.1
toplain MX 10 plain
mixed MX 10 host.unsigned.test.
mixed MX 20 mx
byalias MX 10 out
out CNAME host.unsigned.test.
_25._tcp.out TLSA 3 1 1 ` + spki(l.leaf) + `
unusable MX 10 mx3
mx3 A 127.0.0.1
_25._tcp.mx3 TLSA 1 1 1 ` + spki(l.leaf) + `
fails MX 10 mx4
fails MX 20 mx
onlyfails MX 10 mx4
mx4 A 127.0.0.1
_25._tcp.mx4 CNAME tlsa.broken.test.
null MX 0 .
sts MX 10 plain
sts MX 20 plain2
plain2 A 127.0.0.1
_mta-sts.sts TXT "v=STSv1; id=1;"
mta-sts.sts A 127.0.0.1
_smtp._tls.sts TXT "v=TLSRPTv1; rua=mailto:tls@dane.test"
`,
		"broken.test":   "@ MX 10 mx\nmx A 127.0.0.1\ntlsa TLSA 3 1 1 " + spki(l.leaf) + "\n",
		"unsigned.test": "@ MX 10 host\nhost A 127.0.0.1\n_25._tcp.host TLSA 3 1 1 " + spki(l.rolled) + "\n",
	}
}

// mxMadeZone is served and signed by dnstest.
const mxMadeZone = `
$ORIGIN made.test.
@       SOA ns hostmaster 1 3600 600 86400 60
@       NS  ns
ns      A   127.0.0.1
@       MX  10 mx
mx      A   127.0.0.1
_25._tcp.mx TLSA 3 1 1 %s
alias   CNAME @
*.wild  MX  10 mx
*.alias CNAME alias
bad     MX  10 mx
`

const mxKnotConf = `server:
  rundir: %[1]s
  listen: %[2]s
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: %[1]s
control:
  listen: %[1]s/k.sock
log:
  - target: stderr
    any: error
policy:
  - id: lab
    algorithm: ecdsap256sha256
    nsec3: on
template:
  - id: default
    storage: %[1]s
    file: "%%s.zone"
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
zone:
  - domain: dane.test
    dnssec-signing: on
    dnssec-policy: lab
  - domain: broken.test
    dnssec-signing: on
    dnssec-policy: lab
  - domain: unsigned.test
`

const mxUnboundConf = `server:
  interface: 127.0.0.1
  port: %[2]s
  directory: "%[1]s"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  verbosity: 0
  num-threads: 1
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "validator iterator"
  ede: yes
remote-control:
  control-enable: no
`
