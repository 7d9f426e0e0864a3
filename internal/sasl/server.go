package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// plainServer: RFC 4616.
type plainServer struct {
	exchange
	asked bool
}

func (s *plainServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil && !s.asked {
		s.asked = true
		return nil, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 {
		return nil, false, ErrFailed
	}
	err := s.password(string(parts[0]), string(parts[1]), string(parts[2]))
	return nil, err == nil, err
}

// loginServer: draft-murchison-sasl-login.
type loginServer struct {
	exchange
	step int
	name string
}

func (s *loginServer) Next(response []byte) ([]byte, bool, error) {
	if s.step == 0 {
		s.step++
		if response == nil {
			return []byte("Username:"), false, nil
		}
	}
	if s.step == 1 { // some clients send the name as initial response
		s.step++
		s.name = string(response)
		return []byte("Password:"), false, nil
	}
	err := s.password("", s.name, string(response))
	return nil, err == nil, err
}

// externalServer: RFC 4422 appendix A.
type externalServer struct {
	exchange
	asked bool
}

func (s *externalServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil && !s.asked {
		s.asked = true
		return nil, false, nil
	}
	authzid, err := Prepare(string(response))
	if err != nil {
		return nil, false, ErrFailed
	}
	if !s.cfg.Limiter.Allow(s.ch.Remote, "") {
		return nil, false, ErrLimited
	}
	s.begun, s.user = time.Now(), authzid
	identity, err := s.cfg.External(s.ctx, s.ch.Remote, authzid, *s.ch.TLS)
	err = s.verdict("", identity, err)
	return nil, err == nil, err
}

// cramServer: RFC 2195.
type cramServer struct {
	exchange
	challenge string
}

func (s *cramServer) Next(response []byte) ([]byte, bool, error) {
	if s.challenge == "" {
		if response != nil { // the server speaks first
			return nil, false, ErrFailed
		}
		host := s.cfg.Hostname
		if host == "" {
			host = "localhost"
		}
		s.challenge = fmt.Sprintf("<%s.%d@%s>", rand.Text(), time.Now().Unix(), host)
		return []byte(s.challenge), false, nil
	}
	i := strings.LastIndexByte(string(response), ' ')
	if i < 0 {
		return nil, false, ErrFailed
	}
	s.user = string(response[:i])
	identity, err := s.cfg.Digest(s.ctx, s.ch.Remote, s.user, func(secret string) bool {
		return hmac.Equal(response[i+1:], cramDigest(secret, []byte(s.challenge)))
	})
	s.identity = identity
	return nil, err == nil, err
}

func cramDigest(secret string, challenge []byte) []byte {
	m := hmac.New(md5.New, []byte(secret))
	m.Write(challenge)
	return []byte(hex.EncodeToString(m.Sum(nil)))
}

// bearerServer: RFC 7628, and its forerunner XOAUTH2.
type bearerServer struct {
	exchange
	parse  func(response string) (authzid, token string, ok bool)
	asked  bool
	failed bool
}

func (s *bearerServer) Next(response []byte) ([]byte, bool, error) {
	if s.failed { // RFC 7628 s3.2.3: the client has confirmed the error
		return nil, false, ErrFailed
	}
	if response == nil && !s.asked {
		s.asked = true
		return nil, false, nil
	}
	authzid, token, ok := s.parse(string(response))
	if !ok {
		return nil, false, ErrFailed
	}
	authzid, err := Prepare(authzid)
	if err != nil {
		return nil, false, ErrFailed
	}
	if !s.cfg.Limiter.Allow(s.ch.Remote, authzid) {
		return nil, false, ErrLimited
	}
	s.begun, s.user = time.Now(), authzid
	identity, err := s.cfg.Bearer(s.ctx, s.ch.Remote, authzid, token)
	err = s.verdict(authzid, identity, err)
	if err == ErrFailed {
		s.failed = true
		return []byte(`{"status":"invalid_token"}`), false, nil
	}
	return nil, err == nil, err
}

// parseOAuthBearer: gs2-header kvsep *(key "=" value kvsep) kvsep.
func parseOAuthBearer(r string) (authzid, token string, ok bool) {
	header, rest, ok := strings.Cut(r, "\x01")
	if !ok {
		return "", "", false
	}
	flag, header, ok := strings.Cut(header, ",")
	if !ok || flag != "n" && flag != "y" {
		return "", "", false
	}
	name, empty, ok := strings.Cut(header, ",")
	if !ok || empty != "" {
		return "", "", false
	}
	if name != "" {
		if name, ok = strings.CutPrefix(name, "a="); !ok {
			return "", "", false
		}
		name = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name)
	}
	token, ok = bearerToken(rest)
	return name, token, ok
}

func parseXOAuth2(r string) (user, token string, ok bool) {
	first, rest, _ := strings.Cut(r, "\x01")
	if user, ok = strings.CutPrefix(first, "user="); !ok {
		return "", "", false
	}
	token, ok = bearerToken(rest)
	return user, token, ok
}

func bearerToken(fields string) (string, bool) {
	if !strings.HasSuffix(fields, "\x01\x01") {
		return "", false
	}
	for field := range strings.SplitSeq(fields, "\x01") {
		if v, ok := strings.CutPrefix(field, "auth="); ok {
			if len(v) > 7 && strings.EqualFold(v[:7], "Bearer ") {
				return strings.TrimSpace(v[7:]), true
			}
			return "", false
		}
	}
	return "", false
}
