// Command picture draws text as a terminal would show it, as an SVG, for the README:
//
//	{ make demo; … } | go run ./hack/demo/picture >docs/images/demo.svg
package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Sizes in pixels. The width of a letter is that of common monospaced fonts.
const (
	letterWidth = 7.8
	lineHeight  = 18
	margin      = 16
)

func main() {
	if err := draw(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func draw(from io.Reader, to io.Writer) error {
	var lines []string
	columns := 0
	for scanner := bufio.NewScanner(from); ; {
		if !scanner.Scan() {
			if err := scanner.Err(); err != nil {
				return err
			}
			break
		}
		lines = append(lines, scanner.Text())
		columns = max(columns, utf8.RuneCountInString(scanner.Text()))
	}
	width, height := int(float64(columns)*letterWidth)+2*margin, len(lines)*lineHeight+2*margin
	var picture strings.Builder
	fmt.Fprintf(&picture, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d">
<rect width="100%%" height="100%%" rx="8" fill="#1b1f24"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" fill="#d0d7de" xml:space="preserve">
`, width, height)
	for number, line := range lines {
		weight := ""
		if strings.HasPrefix(line, "$ ") {
			weight = ` fill="#7ee787"`
		}
		fmt.Fprintf(&picture, "<text x=\"%d\" y=\"%d\"%s>%s</text>\n", margin, margin+(number+1)*lineHeight-5, weight, html.EscapeString(line))
	}
	picture.WriteString("</g>\n</svg>\n")
	_, err := io.WriteString(to, picture.String())
	return err
}
