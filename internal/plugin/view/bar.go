package view

import (
	"math"
	"strings"
)

// barWidth is how many characters a bar has.
const barWidth = 10

// full is the share from which on little is left.
const (
	nearlyFull = 0.8
	full       = 1
)

// Bar returns a bar for a share of a whole, and the mark for what is left.
func Bar(share float64) (string, Mark) {
	filled := int(math.Round(min(max(share, 0), 1) * barWidth))
	if share > 0 && filled == 0 {
		filled = 1 // Something is used.
	}
	if share < 1 && filled == barWidth {
		filled = barWidth - 1 // Something is left.
	}
	mark := Good
	switch {
	case share >= full:
		mark = Bad
	case share >= nearlyFull:
		mark = Note
	}
	return strings.Repeat("█", filled) + strings.Repeat("░", barWidth-filled), mark
}
