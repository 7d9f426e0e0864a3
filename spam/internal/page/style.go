package page

import "strings"

// style reads the properties that hide text.
func (e *element) style(css string) {
	if len(css) > 4096 {
		css = css[:4096]
	}
	css = strings.ToLower(css)
	for css != "" {
		var property string
		property, css, _ = strings.Cut(css, ";")
		name, value, _ := strings.Cut(property, ":")
		value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "!important"))
		switch strings.TrimSpace(name) {
		case "display":
			e.hidden = e.hidden || value == "none"
		case "visibility":
			e.hidden = e.hidden || value == "hidden"
		case "font-size", "opacity":
			e.hidden = e.hidden || nothing(value)
		case "color":
			e.color = color(value)
		case "background", "background-color":
			if c := color(value); c != "" {
				e.ground = c
			}
		}
	}
}

// nothing tells whether a length is zero, or one pixel.
func nothing(value string) bool {
	number := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz% ")
	return number != "" && strings.Trim(number, "0.") == "" || value == "1px"
}

var colors = map[string]string{"white": "#ffffff", "black": "#000000"}

// color gives a colour in one form, or "" for what is none that is known.
func color(value string) string {
	value = strings.ToLower(strings.TrimSpace(value))
	if c, ok := colors[value]; ok {
		return c
	}
	if len(value) < 2 || value[0] != '#' {
		return ""
	}
	if len(value) == 4 {
		return string([]byte{'#', value[1], value[1], value[2], value[2], value[3], value[3]})
	}
	return value
}
