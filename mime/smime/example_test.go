package smime_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/smime"
)

func Example() {
	ctx := context.Background()
	// Identities come from smime.ParseIdentity; certificates of others from a directory that implements smime.Lookup.
	alice, bob := alice(), bob()
	to, err := smime.Recipients(ctx, smime.Store{alice.Certificate, bob.Certificate}, "bob@example.org", "alice@example.org")
	if err != nil {
		log.Fatal(err)
	}
	letter, err := mime.Letter{
		From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bob", "bob@example.org")},
		Subject: "The plan", Text: "We meet at noon.\n",
	}.Compose()
	if err != nil {
		log.Fatal(err)
	}
	s := smime.Sender{Identity: alice, To: to}
	msg, err := s.EncryptAndSign(ctx, letter)
	if err != nil {
		log.Fatal(err)
	}
	defer msg.Close()

	roots := root().pool()
	r := smime.Receiver{Identities: []smime.Identity{bob}, Roots: roots}
	in, err := r.Decrypt(ctx, msg)
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	text, err := in.Message().Text()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("Subject:", in.Message().Header().Text("Subject"))
	fmt.Print(text)
	if sig, ok := in.Signer(); ok {
		fmt.Println("signed by", smime.Addresses(sig.Certificate)[0])
	}
	// Output:
	// Subject: The plan
	// We meet at noon.
	// signed by alice@example.org
}

func ExampleReceiver_Verify() {
	ctx := context.Background()
	letter, err := mime.Letter{From: mime.Addr("Mallory", "mallory@example.org"), Text: "Send money.\n"}.Compose()
	if err != nil {
		log.Fatal(err)
	}
	msg, err := (&smime.Sender{Identity: alice()}).Sign(ctx, letter) // with the certificate of alice@example.org
	if err != nil {
		log.Fatal(err)
	}
	defer msg.Close()
	in, err := (&smime.Receiver{Roots: root().pool()}).Verify(ctx, msg)
	if in == nil {
		log.Fatal(err)
	}
	defer in.Close()
	fmt.Println(errors.Is(err, smime.WrongAddress), "- shown like a message that nobody signed")
	// Output: true - shown like a message that nobody signed
}

func ExampleRecipients() {
	directory := smime.LookupFunc(func(ctx context.Context, address string) ([]*x509.Certificate, error) {
		return nil, nil // nobody is known here
	})
	_, err := smime.Recipients(context.Background(), directory, "bob@example.org")
	fmt.Println(errors.Is(err, smime.NoKey))
	// Output: true
}
