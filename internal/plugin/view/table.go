package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Cell is a cell of a table.
type Cell struct {
	// Text is what it says.
	Text string
	// Mark gives it a color.
	Mark Mark
}

// Text returns a cell without a color.
func Text(text string) Cell { return Cell{Text: text} }

// Table is a table with a header.
type Table struct {
	// Header has the names of the columns.
	Header []string
	// Rows have a cell for each column.
	Rows [][]Cell
}

// gap is between two columns, as in the tables of kubectl.
const gap = "   "

// Table writes a table.
func (p Painter) Table(to io.Writer, table Table) error {
	header := make([]Cell, len(table.Header))
	for i, name := range table.Header {
		header[i] = Text(name)
	}
	rows := append([][]Cell{header}, table.Rows...)
	widths := make([]int, len(table.Header))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(Clean(cell.Text)))
		}
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(to, p.row(row, widths)); err != nil {
			return err
		}
	}
	return nil
}

func (p Painter) row(cells []Cell, widths []int) string {
	var line strings.Builder
	spaces := 0
	for i, cell := range cells {
		text := Clean(cell.Text)
		if text != "" {
			line.WriteString(strings.Repeat(" ", spaces))
			line.WriteString(p.in(looks[cell.Mark].color, text))
			spaces = 0
		}
		spaces += widths[i] - utf8.RuneCountInString(text) + len(gap)
	}
	return line.String()
}
