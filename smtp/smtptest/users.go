package smtptest

import (
	"context"
	"errors"
	"net/netip"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// users are names and passwords, as [smtp.Authenticator], [smtp.SCRAMKeys] and [smtp.Secrets].
type users map[string]string

var errUnknown = errors.New("smtptest: unknown user or wrong password")

// VerifyPassword implements [smtp.Authenticator].
func (u users) VerifyPassword(_ context.Context, _ netip.Addr, authzid, username, password string) (string, error) {
	if want, ok := u[username]; !ok || want != password || authzid != "" && authzid != username {
		return "", errUnknown
	}
	return username, nil
}

// SCRAMKeys implements [smtp.SCRAMKeys].
func (u users) SCRAMKeys(_ context.Context, _ netip.Addr, authzid, username, hash string) (identity string, salt []byte, iterations int, storedKey, serverKey []byte, err error) {
	password, ok := u[username]
	if !ok || authzid != "" && authzid != username {
		return "", nil, 0, nil, nil, errUnknown
	}
	salt, iterations = []byte("salt of "+username), 4096
	storedKey, serverKey, err = sasl.DeriveSCRAM(hash, password, salt, iterations)
	return username, salt, iterations, storedKey, serverKey, err
}

// Secret implements [smtp.Secrets].
func (u users) Secret(_ context.Context, _ netip.Addr, username string) (identity, secret string, err error) {
	password, ok := u[username]
	if !ok {
		return "", "", errUnknown
	}
	return username, password, nil
}

// tokens are names and bearer tokens, as [smtp.Tokens].
type tokens map[string]string

// VerifyToken implements [smtp.Tokens].
func (u tokens) VerifyToken(_ context.Context, _ netip.Addr, authzid, token string) (identity string, err error) {
	for name, want := range u {
		if token == want && (authzid == "" || authzid == name) {
			return name, nil
		}
	}
	return "", errUnknown
}
