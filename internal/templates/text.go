package templates

import (
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/library"
)

// text is a text with values in it.
type text struct {
	path   string
	pieces []piece
	// whole says that the text is one value and nothing else, which keeps its type.
	whole bool
}

// piece is either a literal or a value.
type piece struct {
	literal    string
	expression string
	program    cel.Program
}

// shown returns the expression, or its beginning.
func (p piece) shown() string {
	const most = 100
	if shown := []rune(p.expression); len(shown) > most {
		return string(shown[:most]) + "…"
	}
	return p.expression
}

// compileText returns a text with values as a *text, and any other one as a string.
func (c *compiler) compileText(path, written string, asText bool) any {
	result := &text{path: path}
	literal, values := strings.Builder{}, 0
	for at := 0; at < len(written); {
		rest := written[at:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			literal.WriteString("${")
			at += len("$${")
		case strings.HasPrefix(rest, "${"):
			end := closing(rest[len("${"):])
			if end < 0 {
				line, column := position(written, at)
				c.failures = append(c.failures, &Error{path, line, column, "this ${ has no } that ends it; write $${ for ${ itself"})
				return written
			}
			if literal.Len() > 0 {
				result.pieces = append(result.pieces, piece{literal: literal.String()})
				literal.Reset()
			}
			at += len("${")
			result.pieces = append(result.pieces, c.compileValue(path, written, at, at+end))
			at += end + len("}")
			values++
		default:
			literal.WriteByte(written[at])
			at++
		}
	}
	if literal.Len() > 0 {
		result.pieces = append(result.pieces, piece{literal: literal.String()})
	}
	if values == 0 {
		return literal.String()
	}
	result.whole = len(result.pieces) == 1 && !asText
	c.checkTypes(result)
	return result
}

// compileValue compiles the expression between two places of a text.
func (c *compiler) compileValue(path, written string, from, to int) piece {
	expression := written[from:to]
	if strings.Contains(expression, "${") {
		line, column := position(written, from+strings.Index(expression, "${"))
		c.failures = append(c.failures, &Error{path, line, column, "a value can't be in another value; write one expression"})
		return piece{expression: expression}
	}
	checked, issues := environment().env.Compile(expression)
	if issues.Err() != nil {
		for _, issue := range issues.Errors() {
			line, column := position(written, from)
			if issue.Location.Line() > 1 {
				line, column = line+issue.Location.Line()-1, issue.Location.Column()+1
			} else {
				column += max(issue.Location.Column(), 0)
			}
			c.failures = append(c.failures, &Error{path, line, column, strings.TrimSuffix(issue.Message, ".")})
		}
		return piece{expression: expression}
	}
	for _, reference := range checked.NativeRep().ReferenceMap() {
		if _, known := environment().root.Properties[reference.Name]; known {
			c.used.Insert(reference.Name)
		}
	}
	program, err := environment().env.Program(checked, cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost),
		cel.CostLimit(celconfig.PerCallLimit), cel.CostTracking(&library.CostEstimator{}), cel.InterruptCheckFrequency(celconfig.CheckFrequency))
	if err != nil {
		line, column := position(written, from)
		c.failures = append(c.failures, &Error{path, line, column, err.Error()})
	}
	return piece{expression: expression, program: outputOf(program, checked.OutputType())}
}

// typed is a program that knows the type of its results.
type typed struct {
	cel.Program
	output *cel.Type
}

func outputOf(program cel.Program, output *cel.Type) cel.Program { return typed{program, output} }

// checkTypes checks that the values of a text can stand where they are.
func (c *compiler) checkTypes(t *text) {
	for _, piece := range t.pieces {
		program, compiled := piece.program.(typed)
		if !compiled {
			continue
		}
		output := program.output
		if t.whole && output.Kind() == types.OpaqueKind && output.TypeName() == "optional_type" {
			output = output.Parameters()[0]
		}
		if t.whole && !isContent(output) {
			c.fail(t.path, "${%s} is a %s, which no field can have; make a text or a number of it", piece.shown(), output)
		}
		if !t.whole && !isText(output) {
			c.fail(t.path, "${%s} is a %s, which can't be part of a text; make a text of it, or let it be all of the value", piece.shown(), output)
		}
	}
}

// isText reports whether values of a type can be part of a text.
func isText(output *cel.Type) bool {
	switch output.Kind() {
	case types.StringKind, types.IntKind, types.UintKind, types.DoubleKind, types.BoolKind, types.DynKind, types.AnyKind,
		types.TimestampKind, types.DurationKind:
		return true
	default:
		return false
	}
}

// isContent reports whether a field of an object can have values of a type.
func isContent(output *cel.Type) bool {
	switch output.Kind() {
	case types.StructKind:
		return strings.HasPrefix(output.TypeName(), rootType) // Such as a quantity.
	case types.OpaqueKind, types.TypeKind, types.ErrorKind, types.TypeParamKind, types.UnspecifiedKind:
		return false
	default:
		return true
	}
}

// position returns the line and column of a place in a text, both from 1.
func position(written string, at int) (line, column int) {
	before := written[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, len([]rune(before[start:])) + 1
}

// closing returns where the expression at the beginning of a text ends, before the } that is neither in a literal of
// CEL nor belongs to a { of the expression; -1 if there is none.
func closing(written string) int {
	depth := 0
	for at := 0; at < len(written); at++ {
		switch written[at] {
		case '\'', '"':
			end := literalEnd(written, at)
			if end < 0 {
				return -1
			}
			at = end - 1
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return at
			}
			depth--
		}
	}
	return -1
}

// literalEnd returns where a text literal of CEL that begins with the quote at start ends; -1 if nowhere.
func literalEnd(written string, start int) int {
	quote := written[start : start+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(written[start:], triple) {
		quote = triple
	}
	raw := start > 0 && (written[start-1] == 'r' || written[start-1] == 'R')
	for at := start + len(quote); at < len(written); at++ {
		if written[at] == '\\' && !raw {
			at++
			continue
		}
		if strings.HasPrefix(written[at:], quote) {
			return at + len(quote)
		}
	}
	return -1
}
