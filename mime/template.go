package mime

import (
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
)

// Render fills Text and HTML from templates with the same data; one of the templates may be nil. The letter stays as it was if one fails.
func (l *Letter) Render(text *texttemplate.Template, html *htmltemplate.Template, data any) error {
	var t, h strings.Builder
	if text != nil {
		if err := text.Execute(&t, data); err != nil {
			return fmt.Errorf("mime: text template: %w", err)
		}
	}
	if html != nil {
		if err := html.Execute(&h, data); err != nil {
			return fmt.Errorf("mime: HTML template: %w", err)
		}
	}
	if text != nil {
		l.Text = t.String()
	}
	if html != nil {
		l.HTML = h.String()
	}
	return nil
}
