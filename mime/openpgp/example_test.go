package openpgp_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/openpgp"
)

func Example() {
	ctx := context.Background()
	alice, err := openpgp.GenerateKey(openpgp.KeyOptions{Name: "Alice", Address: "alice@example.org"})
	if err != nil {
		log.Fatal(err)
	}
	bob, err := openpgp.GenerateKey(openpgp.KeyOptions{Name: "Bob", Address: "bob@example.org"})
	if err != nil {
		log.Fatal(err)
	}
	directory := openpgp.Keyring{alice, bob}

	letter, err := mime.Letter{
		From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bob", "bob@example.org")},
		Subject: "The plan", Text: "We meet at noon.\n",
	}.Compose()
	if err != nil {
		log.Fatal(err)
	}
	to, err := openpgp.Recipients(ctx, directory, "bob@example.org", "alice@example.org")
	if err != nil {
		log.Fatal(err)
	}
	s := openpgp.Sender{Key: alice, To: to}
	msg, err := s.EncryptAndSign(ctx, letter)
	if err != nil {
		log.Fatal(err)
	}
	defer msg.Close()

	r := openpgp.Receiver{Keys: openpgp.Keyring{bob}, Senders: directory}
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
		fmt.Println("signed by", sig.Key.Addresses()[0])
	}
	// Output:
	// Subject: The plan
	// We meet at noon.
	// signed by alice@example.org
}

func ExampleReceiver_Verify() {
	ctx := context.Background()
	letter, err := mime.Letter{From: mime.Addr("Alice", "alice@example.org"), Text: "Send money.\n"}.Compose()
	if err != nil {
		log.Fatal(err)
	}
	msg, err := (&openpgp.Sender{Key: mallory()}).Sign(ctx, letter)
	if err != nil {
		log.Fatal(err)
	}
	defer msg.Close()
	in, err := (&openpgp.Receiver{Senders: openpgp.Keyring{alice(), mallory()}}).Verify(ctx, msg)
	if in == nil {
		log.Fatal(err)
	}
	defer in.Close()
	fmt.Println(errors.Is(err, openpgp.NoKey), "- it is not one of the author's keys")
	// Output: true - it is not one of the author's keys
}

func ExampleAutocrypt() {
	value, err := openpgp.Autocrypt{Address: "alice@example.org", PreferEncrypt: true, Key: alice()}.Value()
	if err != nil {
		log.Fatal(err)
	}
	letter, err := mime.Letter{
		From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bob", "bob@example.org")},
		Text: "Hello.\n", Extra: []mime.ExtraField{{Name: "Autocrypt", Value: value}},
	}.Compose()
	if err != nil {
		log.Fatal(err)
	}
	a, ok := openpgp.ParseAutocrypt(letter.Header()) // what Bob's program does
	fmt.Println(ok, a.Address, a.PreferEncrypt, a.Key.Equal(alice()))
	// Output: true alice@example.org true true
}
