package spam_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

// fake is a check made of a function.
type fake struct {
	name  string
	stage spam.Stage
	check func(context.Context, *spam.Mail) ([]spam.Symbol, error)
}

func (f fake) Name() string      { return f.name }
func (f fake) Stage() spam.Stage { return f.stage }
func (f fake) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	return f.check(ctx, m)
}

// finds gives a check that finds a symbol with its own name.
func finds(name string, stage spam.Stage) fake {
	return fake{name, stage, func(context.Context, *spam.Mail) ([]spam.Symbol, error) {
		return []spam.Symbol{{Name: name, Score: 1}}, nil
	}}
}

func names(symbols []spam.Symbol) []string {
	var list []string
	for _, s := range symbols {
		list = append(list, s.Name)
	}
	return list
}

func TestStages(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	runs := map[string]int{}
	count := func(name string, stage spam.Stage) spam.Check {
		return fake{name, stage, func(_ context.Context, m *spam.Mail) ([]spam.Symbol, error) {
			mu.Lock()
			defer mu.Unlock()
			runs[name+m.Account]++
			return []spam.Symbol{{Name: name, Score: 1}}, nil
		}}
	}
	e := &spam.Engine{
		First:  []spam.Check{count("first-body", spam.StageBody), count("first-sender", spam.StageSender)},
		Checks: []spam.Check{count("account", spam.StageAccount), count("body", spam.StageBody), count("connection", spam.StageConnection)},
	}
	m := &spam.Mail{}
	v, err := e.Score(t.Context(), m, spam.StageConnection)
	require.NoError(t, err)
	require.Equal(t, []string{"connection"}, names(v.Symbols))
	for range 3 { // asked again at each recipient: nothing runs twice
		v, err = e.Score(t.Context(), m, spam.StageRecipient)
		require.NoError(t, err)
		require.Equal(t, []string{"connection", "first-sender"}, names(v.Symbols))
	}
	_, err = e.Score(t.Context(), m, spam.StageBody)
	require.NoError(t, err)
	for _, account := range []string{"ann", "bob"} {
		v, err = e.Score(t.Context(), m.For(account), spam.StageAccount)
		require.NoError(t, err)
		require.Equal(t, []string{"connection", "first-sender", "first-body", "body", "account"}, names(v.Symbols))
		require.InDelta(t, 5, v.Score, 1e-9)
	}
	require.Equal(t, map[string]int{"connection": 1, "first-sender": 1, "first-body": 1, "body": 1, "accountann": 1, "accountbob": 1}, runs)
	require.Len(t, m.Symbols(), 4, "what accounts found stays with them")

	v, err = e.Score(t.Context(), &spam.Mail{}, spam.StageAccount)
	require.NoError(t, err)
	require.Len(t, v.Symbols, 5, "a caller may have one stage only")
}

func TestFirst(t *testing.T) {
	t.Parallel()
	e := &spam.Engine{
		First: []spam.Check{fake{"spf", spam.StageSender, func(_ context.Context, m *spam.Mail) ([]spam.Symbol, error) {
			m.Authentication.SPF.Result = spam.AuthPass
			return []spam.Symbol{{Name: "A", Score: 1}}, nil
		}}},
		Checks: []spam.Check{fake{"after", spam.StageSender, func(_ context.Context, m *spam.Mail) ([]spam.Symbol, error) {
			m.From = "changed"
			return []spam.Symbol{{Name: "B", Score: 1, Detail: string(m.Authentication.SPF.Result) + " " + m.Symbols()[0].Name}}, nil
		}}},
	}
	m := &spam.Mail{From: "ann@example.org"}
	v, err := e.Score(t.Context(), m, spam.StageSender)
	require.NoError(t, err)
	require.Equal(t, "pass A", v.Symbols[1].Detail)
	require.Equal(t, "ann@example.org", m.From, "the others have a copy")
}

func TestFailures(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	e := &spam.Engine{Logger: slog.New(slog.NewTextHandler(&log, nil)), Checks: []spam.Check{
		fake{"panics", spam.StageBody, func(context.Context, *spam.Mail) ([]spam.Symbol, error) { panic("oh") }},
		fake{"fails", spam.StageBody, func(context.Context, *spam.Mail) ([]spam.Symbol, error) {
			return []spam.Symbol{{Name: "HALF", Score: 1}}, errors.New("no answer")
		}},
		finds("WORKS", spam.StageBody),
	}}
	v, err := e.Score(t.Context(), &spam.Mail{}, spam.StageBody)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"CHECK_FAILED", "HALF", "CHECK_FAILED", "WORKS"}, names(v.Symbols))
	require.InDelta(t, 2, v.Score, 1e-9)
	require.Contains(t, v.String(), "panics: panic: oh")
	require.Contains(t, log.String(), "no answer")

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.Score(canceled, &spam.Mail{}, spam.StageBody)
	require.ErrorIs(t, err, context.Canceled, "without the caller there is no verdict")
}

// TestDeadline: neither a check that waits for the context nor one that never ends holds the mail.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		e := &spam.Engine{Checks: []spam.Check{
			fake{"waits", spam.StageBody, func(ctx context.Context, _ *spam.Mail) ([]spam.Symbol, error) {
				<-ctx.Done()
				return []spam.Symbol{{Name: "PARTLY", Score: 1}}, ctx.Err()
			}},
			fake{"hangs", spam.StageBody, func(context.Context, *spam.Mail) ([]spam.Symbol, error) { <-stuck; return nil, nil }},
			finds("WORKS", spam.StageBody),
		}}
		start := time.Now()
		v, err := e.Score(t.Context(), &spam.Mail{}, spam.StageBody)
		require.NoError(t, err)
		require.Less(t, time.Since(start), 16*time.Second)
		require.GreaterOrEqual(t, time.Since(start), 15*time.Second)
		require.ElementsMatch(t, []string{"PARTLY", "CHECK_FAILED", "CHECK_FAILED", "WORKS"}, names(v.Symbols))
		i := slices.IndexFunc(v.Symbols, func(s spam.Symbol) bool { return s.Detail == "hangs: context deadline exceeded" })
		require.GreaterOrEqual(t, i, 0)
		close(stuck)
	})
}
