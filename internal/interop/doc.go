// Package interop holds tests only: mail programs that people use drive the mail server of examples/mailserver from end to end, and the server
// keeps its promises through kill -9, full load and wrong surroundings.
//
// The programs are swaks, curl, msmtp, mbsync, fetchmail, getmail, mutt and python3; Postfix and Exim, each as client and as server, smtp-sink and smtp-source;
// unbound and knot; gpg and openssl. The tests of a program that is not installed are skipped;
// with MAILROOM_INTEROP=required in the environment they fail. The server is compiled once for a run of the tests, with the race detector when
// the tests are, and started for each test with ports of its own. `go test -short` skips all of it.
package interop
