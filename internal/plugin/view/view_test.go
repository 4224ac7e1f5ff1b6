package view_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/plugin/view"
)

func TestATreeHasALineForEachNode(t *testing.T) {
	tree := view.Node{Kind: "Tenant", Name: "acme", Mark: view.Bad, State: "ErrImagePull", Message: "It can't.", Children: []view.Node{
		{Kind: "NamespaceReady", Mark: view.Good, Children: []view.Node{{Kind: "Namespace", Name: "acme"}}},
		{Kind: "AppReady", Mark: view.Bad, Children: []view.Node{
			{Kind: "Deployment", Namespace: "acme", Name: "app", State: "0/1", Children: []view.Node{{Message: "and 3 more"}}},
		}},
	}}
	const want = `✗ Tenant acme ErrImagePull  It can't.
├─ ✓ NamespaceReady
│  └─ Namespace acme
└─ ✗ AppReady
   └─ Deployment acme/app 0/1
      └─ and 3 more
`
	var plain, colored bytes.Buffer
	if err := (view.Painter{}).Tree(&plain, tree); err != nil || plain.String() != want {
		t.Errorf("got\n%swant\n%s%v", plain.String(), want, err)
	}
	if err := (view.Painter{Color: true}).Tree(&colored, tree); err != nil || !strings.HasPrefix(colored.String(), "\x1b[31m✗\x1b[0m Tenant acme \x1b[31mErrImagePull\x1b[0m  It") {
		t.Errorf("in color: %q %v", colored.String(), err)
	}
}

func TestColumnsAreAligned(t *testing.T) {
	table := view.Table{Header: []string{"NAME", "USED", "NOTE"}, Rows: [][]view.Cell{
		{view.Text("a"), {Text: "██░", Mark: view.Good}, view.Text("")},
		{view.Text("longer"), view.Text(""), view.Text("x")},
	}}
	const want = `NAME     USED   NOTE
a        ██░
longer          x
`
	var plain, colored bytes.Buffer
	if err := (view.Painter{}).Table(&plain, table); err != nil || plain.String() != want {
		t.Errorf("got\n%swant\n%s%v", plain.String(), want, err)
	}
	if err := (view.Painter{Color: true}).Table(&colored, table); err != nil || !strings.Contains(colored.String(), "a        \x1b[32m██░\x1b[0m\n") {
		t.Errorf("in color: %q %v", colored.String(), err)
	}
}

func TestATerminalObeysNothingThatATenantWrites(t *testing.T) {
	for text, want := range map[string]string{
		"it\x1b[2J\x1b]0;owned\a said": "it�[2J�]0;owned� said",
		"two\nlines\r\n":               "two lines",
		"back\u202ewards":              "back�wards",
		"zero\u200bwidth":              "zero�width",
		"Zürich 東京":                    "Zürich 東京",
	} {
		if got := view.Clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		var tree, table bytes.Buffer
		painter := view.Painter{}
		if err := painter.Tree(&tree, view.Node{Kind: text, Namespace: text, Name: text, State: text, Message: text}); err != nil || strings.ContainsAny(tree.String(), "\x1b\a\u202e") {
			t.Errorf("a tree has %q %v", tree.String(), err)
		}
		if err := painter.Table(&table, view.Table{Header: []string{"A"}, Rows: [][]view.Cell{{view.Text(text)}}}); err != nil || strings.ContainsAny(table.String(), "\x1b\a\u202e") {
			t.Errorf("a table has %q %v", table.String(), err)
		}
	}
}

func TestABarShowsWhatIsLeft(t *testing.T) {
	for _, test := range []struct {
		share float64
		bar   string
		mark  view.Mark
	}{
		{0, "░░░░░░░░░░", view.Good},
		{0.001, "█░░░░░░░░░", view.Good},
		{0.5, "█████░░░░░", view.Good},
		{0.8, "████████░░", view.Note},
		{0.999, "█████████░", view.Note},
		{1, "██████████", view.Bad},
		{7, "██████████", view.Bad},
	} {
		if bar, mark := view.Bar(test.share); bar != test.bar || mark != test.mark {
			t.Errorf("%v is %s %s, want %s %s", test.share, bar, mark, test.bar, test.mark)
		}
	}
}
