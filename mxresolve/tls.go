package mxresolve

import "crypto/tls"

// A TLSRequirement says how TLS must be used with a host. The zero value is opportunistic TLS: used when offered, with
// any certificate (RFC 7435).
type TLSRequirement struct {
	host string // for SNI
}

// Config derives from base, which may be nil, the configuration for a connection to the host, and says whether
// delivery without TLS is forbidden. base itself is not changed.
func (t TLSRequirement) Config(base *tls.Config) (cfg *tls.Config, required bool) {
	cfg = &tls.Config{}
	if base != nil {
		cfg = base.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = t.host
	}
	// Whoever would refuse a bad certificate here would go on in clear text, which is worse (RFC 7435 s3).
	cfg.InsecureSkipVerify = true
	return cfg, false
}

// String describes the requirement for logs: "opportunistic".
func (t TLSRequirement) String() string { return "opportunistic" }
