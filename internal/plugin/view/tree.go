package view

import (
	"fmt"
	"io"
	"strings"
)

// Node is something that consists of others, or is explained by them.
type Node struct {
	// Kind is what it is, such as Deployment; empty for what has no kind.
	Kind string `json:"kind,omitempty"`
	// Namespace is the namespace of an object that has one.
	Namespace string `json:"namespace,omitempty"`
	// Name is its name.
	Name string `json:"name,omitempty"`
	// Mark says at a glance how it is.
	Mark Mark `json:"mark,omitempty"`
	// State is how it is, in a word or two.
	State string `json:"state,omitempty"`
	// Message says more, in sentences.
	Message string `json:"message,omitempty"`
	// Children are its parts, or what explains it.
	Children []Node `json:"children,omitempty"`
}

// Add appends children.
func (n *Node) Add(children ...Node) { n.Children = append(n.Children, children...) }

// Tree writes a node and all that is below it, a line each.
func (p Painter) Tree(to io.Writer, node Node) error {
	_, err := fmt.Fprintln(to, strings.Join(p.lines(node, "", ""), "\n"))
	return err
}

// lines returns the lines of a node. first is before its own line, and further before those of what is below it.
func (p Painter) lines(node Node, first, further string) []string {
	lines := []string{first + p.line(node)}
	for i, child := range node.Children {
		branch, stem := "├─ ", "│  "
		if i == len(node.Children)-1 {
			branch, stem = "└─ ", "   "
		}
		lines = append(lines, p.lines(child, further+p.in(faint, branch), further+p.in(faint, stem))...)
	}
	return lines
}

func (p Painter) line(node Node) string {
	var words []string
	name := Clean(node.Name)
	if node.Namespace != "" {
		name = Clean(node.Namespace) + "/" + name
	}
	for _, word := range []string{Clean(node.Kind), name, p.in(looks[node.Mark].color, Clean(node.State))} {
		if word != "" {
			words = append(words, word)
		}
	}
	line := p.sign(node.Mark) + strings.Join(words, " ")
	if message := Clean(node.Message); message != "" {
		if len(words) > 0 {
			line += "  "
		}
		line += message
	}
	return line
}
