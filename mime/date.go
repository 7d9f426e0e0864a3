package mime

import (
	"strings"
	"time"
)

// ParseDate reads a date and time as mail has them: RFC 5322 s3.3 with the obsolete forms of s4.3, two-digit years,
// comments, missing weekdays, seconds or zones, zone names, the forms of ctime and ISO 8601, and a date at the end of a
// Received field. It reports false for what is no date. A zone that nobody knows is -0000: UTC.
func ParseDate(value string) (time.Time, bool) {
	if i := strings.LastIndexByte(value, ';'); i >= 0 { // Received: ...; date
		if t, ok := ParseDate(value[i+1:]); ok {
			return t, true
		}
		value = value[:i]
		if len(value) > 1024 {
			return time.Time{}, false
		}
	}
	if len(value) > 1024 || strings.IndexByte(value, ';') >= 0 {
		return time.Time{}, false
	}
	d := dateParser{zone: time.UTC}
	text := value
	if strings.IndexByte(value, '(') >= 0 {
		b, ok := dateWithoutComments(value)
		if !ok {
			return time.Time{}, false
		}
		text = string(b)
	}
	text = timeWithoutSpace(text)
	for i := 0; i < len(text); {
		if isDateSpace(text[i]) {
			i++
			continue
		}
		j := i
		for j < len(text) && !isDateSpace(text[j]) {
			j++
		}
		if !d.token(text[i:j]) {
			return time.Time{}, false
		}
		i = j
	}
	return d.time()
}

func isDateSpace(c byte) bool { return isSpace(c) || c == ',' || c == '"' }

// dateWithoutComments puts a space for every comment, and reports false when one has no end.
func dateWithoutComments(s string) ([]byte, bool) {
	b := []byte(s)
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] == '(' {
			i = skipComment(b, i)
			if b[i-1] != ')' {
				return nil, false
			}
			out = append(out, ' ')
			continue
		}
		out = append(out, b[i])
		i++
	}
	return out, true
}

// timeWithoutSpace takes out the space around colons, which stands there in obsolete syntax (RFC 5322 s4.3).
func timeWithoutSpace(s string) string {
	if !strings.Contains(s, " :") && !strings.Contains(s, ": ") {
		return s
	}
	pieces := strings.Split(s, ":")
	for i := range pieces {
		if i > 0 {
			pieces[i] = strings.TrimLeft(pieces[i], " \t\r\n")
		}
		if i+1 < len(pieces) {
			pieces[i] = strings.TrimRight(pieces[i], " \t\r\n")
		}
	}
	return strings.Join(pieces, ":")
}

// dateParser collects the pieces of a date from words whose kind is plain from their form and place.
type dateParser struct {
	day, month, year   int
	hour, minute, sec  int
	hasTime, hasYear   bool
	hasWeekday         bool // or a word in its place
	hasZone, afternoon bool
	twelve             bool
	zone               *time.Location
}

// token takes one word and reports false when it cannot be part of a date.
func (d *dateParser) token(s string) bool {
	switch {
	case s == "-" || s == ".":
		return true
	case d.hasTime && (s[0] == '+' || s[0] == '-'):
		return d.offset(s)
	case isDigit(s[0]):
		return d.number(s)
	}
	return d.name(s)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// number takes a word that starts with a digit: a day, a month, a year, a time, or several of them.
func (d *dateParser) number(s string) bool {
	if strings.IndexByte(s, ':') >= 0 || d.day != 0 && d.hasYear && !d.hasTime && strings.Count(s, ".") == 2 {
		if i := strings.IndexAny(s, "Tt"); i == 10 && s[4] == '-' && s[7] == '-' { // ISO 8601
			return d.isoDate(s[:10]) && d.clock(s[11:])
		}
		return d.clock(s)
	}
	if strings.Count(s, "-") == 2 { // 1-Jan-99, 2021-01-05
		if len(s) == 10 && s[4] == '-' {
			return d.isoDate(s)
		}
		a, rest, _ := strings.Cut(s, "-")
		b, c, _ := strings.Cut(rest, "-")
		return a != "" && b != "" && c != "" && d.token(a) && d.token(b) && d.token(c)
	}
	n, rest := leadingNumber(s)
	if n < 0 {
		return false
	}
	digits := len(s) - len(rest)
	switch strings.ToLower(rest) {
	case "", ".", "st", "nd", "rd", "th":
	case "h":
		return !d.hasTime
	default:
		if d.day == 0 && digits <= 2 { // 1jan
			return d.setDay(n) && d.token(rest)
		}
		return false
	}
	switch {
	case digits == 4 && d.hasTime && d.hasYear && !d.hasZone: // 0800, the sign is missing
		return d.offset("+" + s)
	case d.day == 0 && digits <= 2:
		return d.setDay(n)
	case d.month == 0 && digits <= 2:
		d.month = n
		return 1 <= n && n <= 12
	case !d.hasYear:
		return d.setYear(n, digits)
	case !d.hasTime && (digits == 4 || digits == 6): // 0955, 095506
		d.hour, d.minute, d.hasTime = n/100, n%100, true
		if digits == 6 {
			d.hour, d.minute, d.sec = n/10000, n/100%100, n%100
		}
		return true
	}
	return false
}

func (d *dateParser) setDay(n int) bool {
	d.day = n
	return 1 <= n && n <= 31
}

// setYear follows RFC 5322 s4.3: two digits up to 49 are in this century, other short years count from 1900.
func (d *dateParser) setYear(n, digits int) bool {
	switch {
	case digits <= 2 && n < 50:
		n += 2000
	case digits <= 3:
		n += 1900
	}
	d.year, d.hasYear = n, true
	return digits <= 4
}

func (d *dateParser) isoDate(s string) bool {
	y, a := leadingNumber(s[:4])
	m, b := leadingNumber(s[5:7])
	n, c := leadingNumber(s[8:10])
	if a+b+c != "" || y < 0 || m < 1 || m > 12 || d.day != 0 {
		return false
	}
	d.month = m
	return d.setDay(n) && d.setYear(y, 4)
}

// clock takes hh:mm, hh:mm:ss and what may be glued to them: fractions, Z, offsets, AM and PM.
func (d *dateParser) clock(s string) bool {
	if d.hasTime {
		return false
	}
	d.hasTime = true
	rest := s
	for i := range 3 {
		n, r := leadingNumber(rest)
		if n < 0 || len(rest)-len(r) > 2 {
			return false
		}
		switch i {
		case 0:
			d.hour = n
		case 1:
			d.minute = n
		default:
			d.sec = n
		}
		rest = r
		if rest == "" || rest[0] != ':' && rest[0] != '.' || i == 2 {
			if i == 0 {
				return false
			}
			break
		}
		rest = rest[1:]
	}
	if rest != "" && (rest[0] == '.' || rest[0] == ',') { // fraction of a second
		rest = strings.TrimLeft(rest[1:], "0123456789")
	}
	switch {
	case rest == "":
		return true
	case rest[0] == '+' || rest[0] == '-':
		return d.offset(rest)
	}
	return d.name(rest)
}

// offset takes a zone as a number. Only a well-formed one moves the time; anything else is as good as -0000.
func (d *dateParser) offset(s string) bool {
	if d.hasZone {
		return true // "+0100 CET"
	}
	n, rest := leadingNumber(s[1:])
	if n < 0 {
		return len(s) == 1 || d.name(s[1:])
	}
	digits := len(s) - 1 - len(rest)
	hours, minutes := n/100, n%100
	switch {
	case digits <= 2:
		hours, minutes = n, 0
		if rest != "" && rest[0] == ':' {
			minutes, _ = leadingNumber(rest[1:])
		}
	case digits > 4:
		return true
	}
	d.hasZone = true
	if hours > 23 || minutes < 0 || minutes > 59 {
		return true
	}
	seconds := hours*3600 + minutes*60
	if s[0] == '-' {
		seconds = -seconds
	}
	if seconds != 0 {
		d.zone = time.FixedZone("", seconds)
	}
	return true
}

// name takes a weekday, a month, AM or PM, or a zone.
func (d *dateParser) name(s string) bool {
	word := strings.ToLower(strings.Trim(s, ".,\"'"))
	if word == "" {
		return true
	}
	if month := monthOf(word); month > 0 && d.month == 0 {
		d.month = month
		return true
	} else if month > 0 && d.day == 0 {
		return false
	}
	switch word {
	case "am", "pm":
		d.twelve, d.afternoon = true, word == "pm"
		return d.hasTime
	}
	if !d.hasTime {
		first := !d.hasWeekday && d.day == 0 && d.month == 0 && !d.hasYear
		d.hasWeekday = true
		return isWeekday(word) || first && len(word) <= longestWeekday // in another language
	}
	if d.hasZone || isWeekday(word) {
		return true
	}
	d.hasZone = true
	if hours, ok := zoneHours[word]; ok && hours != 0 {
		d.zone = time.FixedZone(strings.ToUpper(word), hours*3600)
		return true
	}
	// "GMT+0100"
	if i := strings.IndexAny(word, "+-"); i > 0 {
		d.hasZone = false
		return d.offset(word[i:])
	}
	return len(word) <= 32
}

// zoneHours are the zone names of RFC 5322 s4.3 and a few more that mail has. Military letters are -0000: RFC 822 had
// their signs wrong.
var zoneHours = map[string]int{
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0,
	"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8,
	"est5edt": -5, "cst6cdt": -6, "mst7mdt": -7, "pst8pdt": -8, "akst": -9, "akdt": -8, "hst": -10,
	"cet": 1, "met": 1, "mez": 1, "bst": 1, "west": 1, "cest": 2, "mest": 2, "mesz": 2, "eet": 2, "eest": 3, "msk": 3, "msd": 4,
	"jst": 9, "kst": 9, "hkt": 8, "sgt": 8, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
}

const longestWeekday = 24 // octets

func monthOf(word string) int {
	if len(word) < 3 {
		return 0
	}
	for m := time.January; m <= time.December; m++ {
		name := monthNames[m-1]
		if word == name || len(word) == 3 && word == name[:3] || word == "sept" && m == time.September {
			return int(m)
		}
	}
	return 0
}

func isWeekday(word string) bool {
	if len(word) < 2 {
		return false
	}
	for w := time.Sunday; w <= time.Saturday; w++ {
		name := weekdayNames[w]
		if strings.HasPrefix(name, word) || word == "thur" || word == "thurs" || word == "tues" {
			return true
		}
	}
	return false
}

func leadingNumber(s string) (n int, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) && i < 9 {
		n = n*10 + int(s[i]-'0')
		i++
	}
	if i == 0 {
		return -1, s
	}
	return n, s[i:]
}

func (d *dateParser) time() (time.Time, bool) {
	if d.day == 0 || d.month == 0 || !d.hasYear || d.hour > 24 || d.minute > 59 || d.sec > 60 {
		return time.Time{}, false
	}
	if d.twelve {
		d.hour %= 12
		if d.afternoon {
			d.hour += 12
		}
	}
	return time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.sec, 0, d.zone), true
}

// The names of months and days, in lower case.
var (
	monthNames   = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	weekdayNames = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)
