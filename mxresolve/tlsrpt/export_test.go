package tlsrpt

// PublicOnly is the rule for addresses that reports are posted to.
var PublicOnly = publicOnly
