package pop3_test

import (
	"github.com/gomailroom/mailroom/internal/certs"
)

var (
	ca        = certs.NewCA()
	serverTLS = ca.Server("pop.example.org")
)
