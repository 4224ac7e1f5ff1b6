// Package view draws what the kubectl plugin says: trees, tables and bars, in color where there is a terminal. It is
// pure, and knows nothing of tenants.
package view

import (
	"strings"
	"unicode"
)

// Mark says at a glance how something is.
type Mark string

// The marks.
const (
	// None is the mark of what is neither good nor bad.
	None Mark = ""
	// Good marks what is as it should be.
	Good Mark = "Good"
	// Busy marks what only takes time.
	Busy Mark = "Busy"
	// Note marks what isn't wrong, and what somebody should know.
	Note Mark = "Note"
	// Bad marks what is wrong.
	Bad Mark = "Bad"
)

// looks has the sign and the color of each mark. Who doesn't see colors sees the signs.
var looks = map[Mark]struct{ sign, color string }{
	Good: {"✓", "32"},
	Busy: {"…", "36"},
	Note: {"!", "33"},
	Bad:  {"✗", "31"},
}

// faint is the style of what is less important.
const faint = "2"

// Painter draws in color, or without.
type Painter struct {
	// Color says that the output is for a terminal that shows colors.
	Color bool
}

// in returns a text in a color.
func (p Painter) in(color, text string) string {
	if !p.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// sign returns the sign of a mark, with a space after it; empty for none.
func (p Painter) sign(mark Mark) string {
	look, found := looks[mark]
	if !found {
		return ""
	}
	return p.in(look.color, look.sign) + " "
}

// Clean returns a text in one line, without what a terminal would obey. Tenants write names, messages and what their
// containers say as they end, and others read them.
func Clean(text string) string {
	line := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return '�'
		default:
			return r
		}
	}, strings.TrimSpace(text))
	return line
}
