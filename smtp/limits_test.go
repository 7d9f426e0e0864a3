package smtp

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The documentation has the defaults of all limits.
func TestDocumentedLimits(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	shown := func(v any) string {
		switch n := v.(type) {
		case time.Duration:
			switch {
			case n >= 24*time.Hour:
				return fmt.Sprintf("%d days", n/(24*time.Hour))
			case n >= time.Minute:
				return fmt.Sprintf("%d minutes?", n/time.Minute)
			case n >= time.Second:
				return fmt.Sprintf("%d s", n/time.Second)
			}
			return fmt.Sprintf("%d ms", n/time.Millisecond)
		case int64:
			if n >= 1<<20 {
				return fmt.Sprintf("%d MiB", n>>20)
			}
		}
		return fmt.Sprint(v)
	}
	limits := reflect.ValueOf(Limits{}.withDefaults())
	for i := range limits.NumField() {
		name := limits.Type().Field(i).Name
		require.Regexp(t, regexp.MustCompile("(?m)^//\t"+name+" +"+shown(limits.Field(i).Interface())+"  "), string(doc), name)
	}
}
