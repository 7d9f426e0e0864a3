//go:build unix

package interop

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/openpgp"
	"github.com/gomailroom/mailroom/mime/smime"
)

// bytesContent is a message in memory.
type bytesContent []byte

func (c bytesContent) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c)), nil }
func (c bytesContent) Size() int64                  { return int64(len(c)) }

// cryptLetter has what suffers on the way: 8 bits, white space at line ends, "From ", a file.
func cryptLetter(t *testing.T) *mime.Composed {
	t.Helper()
	l := mime.Letter{From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bob", "bob@example.org")}, Subject: "The secret plän",
		Text: "Grüße,\nnoon. \n-- \nFrom Alice\n", Attachments: []mime.File{mime.BytesFile("plan.bin", bytes.Repeat([]byte{0, 1, 255}, 100000))}}
	msg, err := l.ComposeFor(mime.Capabilities{EightBit: true})
	require.NoError(t, err)
	return msg
}

func requireCryptLetter(t *testing.T, m *mime.Message) {
	t.Helper()
	require.Equal(t, "The secret plän", m.Header().Text("Subject"))
	text, err := m.Text()
	require.NoError(t, err)
	require.Equal(t, "Grüße,\nnoon. \n-- \nFrom Alice\n", text)
	require.Len(t, m.Attachments(), 1)
}

func contentText(t *testing.T, c mime.Content) string {
	t.Helper()
	rc, err := c.Open()
	require.NoError(t, err)
	defer rc.Close()
	b, err := io.ReadAll(rc)
	require.NoError(t, err)
	return string(b)
}

func save(t *testing.T, dir, name, text string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// firstParts returns the signed part and the body of the second part of a multipart, as they are.
func firstParts(t *testing.T, text string) (first, second string) {
	t.Helper()
	m := mime.ParseBytes([]byte(text))
	var parts []*mime.Part
	for p := range m.Root().Children() {
		parts = append(parts, p)
	}
	require.Len(t, parts, 2)
	start, _ := parts[0].HeaderRange()
	offset, length := parts[0].BodyRange()
	b, err := io.ReadAll(parts[1].Decoded())
	require.NoError(t, err)
	return text[start : offset+length], string(b)
}

// TestGPG exchanges signed and encrypted messages with gpg, which does not know MIME: the parts are put together and taken apart here.
func TestGPG(t *testing.T) {
	t.Parallel()
	program(t, "gpg")
	// The socket of gpg's agent must have a short name.
	home, err := os.MkdirTemp("/tmp", "gpg")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // the agent would stay
		os.RemoveAll(home)
	})
	require.NoError(t, os.Chmod(home, 0o700))
	gpg := func(stdin string, args ...string) outcome {
		t.Helper()
		return must(t, home, stdin, "gpg", append([]string{"--homedir", home, "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always", "--status-fd", "2"}, args...)...)
	}
	gpg("", "--quick-generate-key", "Bob <bob@example.org>", "ed25519", "sign", "never")
	fpr := regexp.MustCompile(`fpr:+([0-9A-F]{40}):`).FindStringSubmatch(gpg("", "--with-colons", "--list-keys", "bob@example.org").stdout)[1]
	gpg("", "--quick-add-key", fpr, "cv25519", "encr", "never")
	gpg("", "--quick-generate-key", "Rsa <rsa@example.org>", "rsa2048", "sign", "never")
	alice, err := openpgp.GenerateKey(openpgp.KeyOptions{Name: "Alice", Address: "alice@example.org"})
	require.NoError(t, err)
	armored, err := alice.MarshalText()
	require.NoError(t, err)
	gpg(string(armored), "--import")
	theirs, err := openpgp.ParseKeys([]byte(gpg("", "--armor", "--export").stdout))
	require.NoError(t, err)
	require.Len(t, theirs, 3)
	ring := openpgp.Keyring(theirs)
	bobs, err := openpgp.Recipients(t.Context(), ring, "bob@example.org")
	require.NoError(t, err)
	require.Equal(t, fpr, bobs[0].Fingerprint())
	secret, err := openpgp.ParseKeys([]byte(gpg("", "--armor", "--export-secret-keys", "bob@example.org").stdout))
	require.NoError(t, err)
	sender := openpgp.Sender{Key: alice, To: bobs}

	t.Run("it verifies", func(t *testing.T) {
		msg, err := sender.Sign(t.Context(), cryptLetter(t))
		require.NoError(t, err)
		signed, sig := firstParts(t, contentText(t, msg))
		o := gpg("", "--verify", save(t, home, "signed.asc", sig), save(t, home, "signed", signed))
		require.Contains(t, o.stderr, "GOODSIG")
		require.Contains(t, o.stderr, alice.Fingerprint())
		require.Contains(t, signed, "protected-headers=\"v1\"")
	})
	for name, do := range map[string]func() (*openpgp.Protected, error){
		"it decrypts":              func() (*openpgp.Protected, error) { return sender.Encrypt(t.Context(), cryptLetter(t)) },
		"it decrypts and verifies": func() (*openpgp.Protected, error) { return sender.EncryptAndSign(t.Context(), cryptLetter(t)) },
		"it decrypts what is hidden": func() (*openpgp.Protected, error) {
			hidden := openpgp.Sender{Hidden: bobs}
			return hidden.Encrypt(t.Context(), cryptLetter(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			msg, err := do()
			require.NoError(t, err)
			text := contentText(t, msg)
			require.Contains(t, text, "\r\nSubject: ...\r\n")
			_, data := firstParts(t, text)
			o := gpg(data, "--decrypt")
			require.Contains(t, o.stderr, "DECRYPTION_OKAY")
			require.Contains(t, o.stderr, "GOODMDC")
			require.Equal(t, name == "it decrypts and verifies", strings.Contains(o.stderr, "GOODSIG"))
			require.NotContains(t, unix(o.stdout), "Subject: ...\nTo")
			requireCryptLetter(t, mime.ParseBytes([]byte(o.stdout)))
		})
	}

	const entity = "Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"\r\nSubject: inside\r\n\r\nGr\xc3\xbc\xc3\x9fe from gpg\r\n"
	receiver := openpgp.Receiver{Keys: secret, Senders: ring}
	check := func(t *testing.T, o *openpgp.Opened, signer string) {
		t.Helper()
		require.Equal(t, "inside", o.Message().Header().Text("Subject"))
		text, err := o.Message().Text()
		require.NoError(t, err)
		require.Equal(t, "Grüße from gpg\n", text)
		sig, ok := o.Signer()
		require.Equal(t, signer != "", ok, "%v", o.Signatures)
		if ok {
			require.Equal(t, []string{signer}, sig.Key.Addresses())
		}
	}
	for _, signer := range []string{"bob@example.org", "rsa@example.org"} {
		for _, mode := range []string{"--detach-sign", "--textmode --detach-sign"} {
			t.Run("it signs "+mode+" "+signer, func(t *testing.T) {
				sig := gpg(entity, append(strings.Fields(mode), "--armor", "--local-user", signer)...).stdout
				text := "From: " + signer + "\r\nSubject: outside\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n" +
					entity + "\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n" + sig + "\r\n--b--\r\n"
				o, err := receiver.Verify(t.Context(), bytesContent(text))
				require.NoError(t, err)
				check(t, o, signer)
			})
		}
	}
	for name, args := range map[string][]string{
		"it encrypts": {"--encrypt", "--recipient", "bob@example.org"}, "it encrypts to somebody hidden": {"--encrypt", "--hidden-recipient", "bob@example.org"},
		"it encrypts and signs": {"--sign", "--encrypt", "--recipient", "bob@example.org", "--local-user", "rsa@example.org"}, "it encrypts without compression": {"--compress-algo", "none", "--encrypt", "--recipient", "bob@example.org"},
		"it encrypts with bzip2": {"--compress-algo", "bzip2", "--encrypt", "--recipient", "bob@example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			data := gpg(entity, append([]string{"--armor"}, args...)...).stdout
			text := "From: rsa@example.org\r\nSubject: ...\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n" +
				"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" + data + "\r\n--b--\r\n"
			o, err := receiver.Decrypt(t.Context(), bytesContent(text))
			require.NoError(t, err)
			signer := ""
			if strings.HasSuffix(name, "signs") {
				signer = "rsa@example.org"
			}
			check(t, o, signer)
		})
	}
	t.Run("a locked key of it", func(t *testing.T) {
		gpg("", "--passphrase", "open sesame", "--quick-generate-key", "Locked <locked@example.org>", "rsa2048", "default", "never")
		locked, err := openpgp.ParseKeys([]byte(gpg("", "--passphrase", "open sesame", "--armor", "--export-secret-keys", "locked@example.org").stdout))
		require.NoError(t, err)
		require.True(t, locked[0].IsLocked())
		_, err = locked[0].Unlock([]byte("open sesame"))
		require.NoError(t, err)
	})
}

// TestOpenSSL exchanges signed and encrypted messages with openssl.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	dir := t.TempDir()
	openssl := func(stdin string, args ...string) string {
		t.Helper()
		return must(t, dir, stdin, "openssl", args...).stdout
	}
	openssl("", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Mail CA", "-days", "30")
	identity := func(name, address string, algorithm ...string) smime.Identity {
		openssl("", append([]string{"req", "-new", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name, "-newkey"}, algorithm...)...)
		ext := save(t, dir, name+".ext", "subjectAltName=email:"+address+"\nextendedKeyUsage=emailProtection\nkeyUsage=digitalSignature,keyEncipherment,keyAgreement\nsubjectKeyIdentifier=hash\n")
		openssl("", "x509", "-req", "-in", name+".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", name+".pem", "-days", "20", "-extfile", ext)
		data, err := os.ReadFile(filepath.Join(dir, name+".pem"))
		require.NoError(t, err)
		key, err := os.ReadFile(filepath.Join(dir, name+".key"))
		require.NoError(t, err)
		id, err := smime.ParseIdentity(append(data, key...))
		require.NoError(t, err)
		return id
	}
	roots := x509.NewCertPool()
	ids := map[string]smime.Identity{
		"alice": identity("alice", "alice@example.org", "rsa:2048"), "aliceec": identity("aliceec", "alice@example.org", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
		"bob": identity("bob", "bob@example.org", "rsa:2048"), "bobec": identity("bobec", "bob@example.org", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	require.True(t, roots.AppendCertsFromPEM(ca))
	block, _ := pem.Decode(ca)
	require.NotNil(t, block)

	for _, signer := range []string{"alice", "alice with PSS", "aliceec"} {
		name, padding, _ := strings.Cut(signer, " with ")
		s := smime.Sender{Identity: ids[name]}
		if padding != "" {
			s.RSA = smime.PSSAndOAEP
		}
		for name, do := range map[string]func() (*smime.Protected, error){
			"clear": func() (*smime.Protected, error) { return s.Sign(t.Context(), cryptLetter(t)) }, "opaque": func() (*smime.Protected, error) { return s.SignOpaque(t.Context(), cryptLetter(t)) },
		} {
			for _, command := range []string{"cms", "smime"} {
				if command == "smime" && padding != "" {
					continue // it knows only PKCS #7, which has no PSS
				}
				t.Run(command+" verifies "+name+" of "+signer, func(t *testing.T) {
					msg, err := do()
					require.NoError(t, err)
					file := save(t, dir, "signed-"+name+signer+command, contentText(t, msg))
					out := openssl("", command, "-verify", "-in", file, "-CAfile", "ca.pem", "-purpose", "smimesign")
					requireCryptLetter(t, mime.ParseBytes([]byte(out)))
				})
			}
		}
	}
	for _, c := range []struct {
		command, to string
		cipher      smime.Cipher
		rsa         smime.RSAPadding
	}{{"smime", "bob", smime.AES256CBC, 0}, {"cms", "bob", smime.AES256CBC, 0}, {"cms", "bobec", smime.AES256CBC, 0}, {"cms", "bob", smime.AES256GCM, 0}, {"cms", "bob", smime.AES128GCM, 0}, {"cms", "bobec", smime.AES256GCM, 0},
		{"cms", "bob", smime.AES256CBC, smime.PSSAndOAEP}} {
		t.Run(c.command+" decrypts for "+c.to, func(t *testing.T) {
			s := smime.Sender{Identity: ids["alice"], To: []*x509.Certificate{ids["alice"].Certificate, ids[c.to].Certificate}, Cipher: c.cipher, RSA: c.rsa}
			msg, err := s.EncryptAndSign(t.Context(), cryptLetter(t))
			require.NoError(t, err)
			text := contentText(t, msg)
			require.Contains(t, text, "\r\nSubject: ...\r\n")
			args := []string{c.command, "-decrypt", "-inkey", c.to + ".key", "-recip", c.to + ".pem"}
			out := openssl(text, args...)
			inner := openssl(out, "cms", "-verify", "-CAfile", "ca.pem", "-purpose", "smimesign")
			requireCryptLetter(t, mime.ParseBytes([]byte(inner)))
		})
	}

	const entity = "Content-Type: text/plain; charset=utf-8; hp=\"clear\"\r\nFrom: alice@example.org\r\nSubject: inside\r\n\r\nGr\xc3\xbc\xc3\x9fe from openssl\r\n"
	save(t, dir, "entity", entity)
	r := smime.Receiver{Identities: []smime.Identity{ids["bob"], ids["bobec"]}, Roots: roots}
	check := func(t *testing.T, o *smime.Opened, signed bool) {
		t.Helper()
		require.Equal(t, "inside", o.Message().Header().Text("Subject"))
		text, err := o.Message().Text()
		require.NoError(t, err)
		require.Equal(t, "Grüße from openssl\n", text)
		_, ok := o.Signer()
		require.Equal(t, signed, ok, "%v", o.Signatures)
	}
	const outer = "From: alice@example.org\r\nSubject: outside\r\n"
	for name, args := range map[string][]string{
		"cms signs": {"cms", "-sign"}, "cms signs opaque, streaming": {"cms", "-sign", "-nodetach", "-stream"}, "smime signs": {"smime", "-sign"}, "cms signs with a key identifier": {"cms", "-sign", "-keyid"},
		"cms signs without attributes": {"cms", "-sign", "-noattr", "-nodetach"}, "cms signs with PSS": {"cms", "-sign", "-keyopt", "rsa_padding_mode:pss"}, "cms signs with SHA-512": {"cms", "-sign", "-md", "sha512"},
	} {
		for _, signer := range []string{"alice", "aliceec"} {
			if strings.Contains(name, "PSS") && signer != "alice" {
				continue
			}
			t.Run(name+" as "+signer, func(t *testing.T) {
				out := openssl("", append([]string{args[0], "-sign", "-signer", signer + ".pem", "-inkey", signer + ".key", "-in", "entity", "-binary", "-crlfeol"}, args[2:]...)...)
				o, err := r.Verify(t.Context(), bytesContent(outer+out))
				require.NoError(t, err)
				check(t, o, true)
			})
		}
	}
	for name, args := range map[string][]string{
		"smime encrypts": {"smime", "-encrypt", "-aes256"}, "smime encrypts with triple DES": {"smime", "-encrypt", "-des3"}, "cms encrypts": {"cms", "-encrypt", "-aes-128-cbc"}, "cms encrypts, streaming": {"cms", "-encrypt", "-stream", "-aes-256-cbc"},
		"cms encrypts with GCM": {"cms", "-encrypt", "-aes-256-gcm"}, "cms encrypts with a key identifier": {"cms", "-encrypt", "-keyid", "-aes-256-cbc"}, "cms encrypts with OAEP": {"cms", "-encrypt", "-aes-256-cbc", "-recip", "bob.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"},
		"cms encrypts for an elliptic curve": {"cms", "-encrypt", "-aes-256-cbc", "-recip", "bobec.pem"}, "cms encrypts for an elliptic curve with SHA-256": {"cms", "-encrypt", "-aes-256-cbc", "-recip", "bobec.pem", "-keyopt", "ecdh_kdf_md:sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			all := append(append([]string{args[0]}, args[1:]...), "-in", "entity", "-binary")
			if !strings.Contains(strings.Join(args, " "), ".pem") {
				all = append(all, "bob.pem")
			}
			o, err := r.Decrypt(t.Context(), bytesContent(outer+openssl("", all...)))
			require.NoError(t, err)
			require.Equal(t, strings.Contains(name, "GCM"), o.Authenticated)
			check(t, o, false)
		})
	}
}
