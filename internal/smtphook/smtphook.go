// Package smtphook lets package smtptest answer commands in the place of package smtp's server, under TLS as well.
package smtphook

import "context"

// A Command is told the verb of each command, in upper case, before the server looks at it. An *smtp.Error is the reply to it, whatever its code; any
// other error cuts the connection; nil lets the server go on. It may wait.
type Command func(verb string) error

type key struct{}

// With gives a context for Server.ServeConn with a hook.
func With(ctx context.Context, c Command) context.Context { return context.WithValue(ctx, key{}, c) }

// From gives the hook of a context, or nil.
func From(ctx context.Context) Command {
	c, _ := ctx.Value(key{}).(Command)
	return c
}
