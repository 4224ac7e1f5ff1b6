// Package command has the commands of the kubectl plugin: their flags, and what each reads and says.
package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/cluster"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// plugin is what all commands have in common.
type plugin struct {
	flags   *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	// version is the plugin's version.
	version string
}

// New returns the plugin.
func New(streams genericiooptions.IOStreams, version string) *cobra.Command {
	p := &plugin{flags: genericclioptions.NewConfigFlags(true), streams: streams, version: version}
	root := &cobra.Command{
		Use:   "kubectl-tenantry",
		Short: "See what Tenantry's tenants have, and why",
		Long: `See what Tenantry's tenants have, and why.

Cluster admins can ask about all tenants, and owners about their own. Where a right is missing, the plugin says which,
and who can grant it.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl tenantry"},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	p.flags.AddFlags(root.PersistentFlags())
	root.AddCommand(
		p.status(), p.why(), p.effective(), p.namespaces(), p.canILeave(), p.usage(), p.report(),
		p.psql(), p.rotate(), p.cordon(), p.uncordon(), p.hibernate(), p.wake(), p.release(),
	)
	return root
}

// ExitError ends the plugin with an exit code. Why has been said.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// connect connects to the cluster.
func (p *plugin) connect() (*cluster.Connection, error) { return cluster.Connect(p.flags) }

// painter draws in color where the output is a terminal, unless NO_COLOR is set (https://no-color.org).
func (p *plugin) painter() view.Painter {
	file, isFile := p.streams.Out.(*os.File)
	return view.Painter{Color: isFile && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// output is the format in which a command says what it has to say.
type output struct{ format string }

// formats are what a command can write beside text.
func (o *output) add(command *cobra.Command, formats ...string) {
	command.Flags().StringVarP(&o.format, "output", "o", "", "The format: "+strings.Join(formats, " or ")+". Left out, it is text for people.")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	check := command.RunE
	command.RunE = func(cmd *cobra.Command, args []string) error {
		if slices.Contains(append(formats, ""), o.format) {
			return check(cmd, args)
		}
		return fmt.Errorf("there is no format %q; write %s, or leave --output out", o.format, strings.Join(formats, " or "))
	}
}

// json reports whether the format is JSON.
func (o *output) json() bool { return o.format == "json" }

// writeJSON writes a value as JSON.
func writeJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// print writes an answer as JSON or as a tree, with what could not be read below.
func (p *plugin) print(o *output, said answer.Answer) error {
	if o.json() {
		return writeJSON(p.streams.Out, said)
	}
	if err := p.painter().Tree(p.streams.Out, said.Node); err != nil {
		return err
	}
	return p.sentences(said.Unread)
}

// sentences writes sentences below what they are about.
func (p *plugin) sentences(sentences []string) error {
	if len(sentences) == 0 {
		return nil
	}
	var lines strings.Builder
	lines.WriteString("\n")
	for _, sentence := range sentences {
		lines.WriteString(view.Clean(sentence) + "\n")
	}
	_, err := io.WriteString(p.streams.Out, lines.String())
	return err
}

// tenantName returns the tenant that a command is about: the argument, or that of the current namespace.
func tenantName(ctx context.Context, c *cluster.Connection, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	return c.Here(ctx)
}

// completeTenants completes the name of a Tenant.
func (p *plugin) completeTenants(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	connection, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	tenants, err := connection.Tenants(cmd.Context())
	for i := range tenants {
		names = append(names, tenants[i].Name)
	}
	if err != nil {
		// An owner has the one of the current namespace.
		if name, err := connection.Here(cmd.Context()); err == nil {
			names = []string{name}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// oneTenant returns the beginning of a command about one tenant.
func (p *plugin) oneTenant(name, short, long string, run func(context.Context, *cluster.Connection, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " [TENANT]", Short: short, Long: long, Args: cobra.MaximumNArgs(1), ValidArgsFunction: p.completeTenants,
		RunE: func(cmd *cobra.Command, args []string) error {
			connection, err := p.connect()
			if err != nil {
				return err
			}
			tenant, err := tenantName(cmd.Context(), connection, args)
			if err != nil {
				return err
			}
			return run(cmd.Context(), connection, tenant)
		},
	}
}
