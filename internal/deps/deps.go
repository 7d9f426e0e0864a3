package deps

import (
	_ "github.com/emersion/go-message/mail"
	_ "github.com/miekg/dns"
	_ "github.com/stretchr/testify/require"
	_ "github.com/xdg-go/scram"
	_ "golang.org/x/crypto/argon2"
	_ "golang.org/x/net/html"
	_ "golang.org/x/net/html/charset"
	_ "golang.org/x/net/idna"
	_ "golang.org/x/net/nettest"
	_ "golang.org/x/sync/singleflight"
	_ "golang.org/x/text/encoding/htmlindex"
	_ "golang.org/x/text/encoding/ianaindex"
	_ "golang.org/x/text/secure/precis"
	_ "modernc.org/sqlite"
)
