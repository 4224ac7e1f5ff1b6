package command

import (
	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/internal/plugin/answer"
)

func (p *plugin) release() *cobra.Command {
	command := &cobra.Command{Use: "release", Short: "See how far a change of a class has got"}
	command.AddCommand(p.releaseStatus())
	return command
}

func (p *plugin) releaseStatus() *cobra.Command {
	o := &output{}
	command := &cobra.Command{
		Use: "status CLASS", Short: "Show the revisions of a class, and the tenants that aren't ready",
		Long: `Show which revisions of a class its tenants are at, how many of them are ready, and those that aren't.`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeClasses,
		RunE: func(cmd *cobra.Command, args []string) error {
			connection, err := p.connect()
			if err != nil {
				return err
			}
			class, err := connection.TenantClass(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			tenants, err := connection.Tenants(cmd.Context())
			if err != nil {
				return err
			}
			return p.print(o, answer.Answer{Node: answer.Release(class, tenants)})
		},
	}
	o.add(command, "json")
	return command
}

// completeClasses completes the name of a TenantClass.
func (p *plugin) completeClasses(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	connection, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names, err := connection.TenantClasses(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
