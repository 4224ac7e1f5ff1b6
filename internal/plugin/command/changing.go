package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/cluster"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// decision reads the object of a name, and returns it with the change that a command makes of it.
type decision func(ctx context.Context, c *cluster.Connection, name string) (client.Object, answer.Change, error)

// changing returns the beginning of a command that changes an object's spec and says what that means.
func (p *plugin) changing(use, short, long string, complete cobra.CompletionFunc, decide decision) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1), ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			connection, err := p.connect()
			if err != nil {
				return err
			}
			object, change, err := decide(cmd.Context(), connection, args[0])
			if err != nil {
				return err
			}
			if change.Spec != nil {
				if err := connection.SetSpec(cmd.Context(), object, change.Spec); err != nil {
					return err
				}
			}
			for _, sentence := range change.Sentences {
				if _, err := fmt.Fprintln(p.streams.Out, view.Clean(sentence)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (p *plugin) cordon() *cobra.Command {
	return p.cordoning("cordon", "Freeze a tenant: only cluster admins may change anything in its namespaces", true,
		"The Tenant %s is cordoned: only cluster admins and the cluster itself may change anything in its namespaces or open a session to a pod. Its pods keep running.")
}

func (p *plugin) uncordon() *cobra.Command {
	return p.cordoning("uncordon", "Let a cordoned tenant's owners work again", false,
		"The Tenant %s isn't cordoned any more.")
}

func (p *plugin) cordoning(name, short string, cordoned bool, done string) *cobra.Command {
	long := fmt.Sprintf("%s.\n\nThis sets spec.cordoned of the Tenant to %v. What manages the Tenant from elsewhere, such as GitOps, may set it back.", short, cordoned)
	return p.changing(name+" TENANT", short, long, p.completeTenants,
		func(ctx context.Context, c *cluster.Connection, name string) (client.Object, answer.Change, error) {
			tenant, err := c.Tenant(ctx, name)
			return tenant, answer.Change{Spec: map[string]any{"cordoned": cordoned}, Sentences: []string{fmt.Sprintf(done, name)}}, err
		})
}

// sleeping returns a command that changes whether a tenant sleeps.
func (p *plugin) sleeping(name, short, long string, decide func(answer.Sleeper) (answer.Change, error)) *cobra.Command {
	return p.changing(name+" TENANT", short, long, p.completeTenants,
		func(ctx context.Context, c *cluster.Connection, name string) (client.Object, answer.Change, error) {
			sleeper, err := c.Sleeper(ctx, name)
			if err != nil {
				return nil, answer.Change{}, err
			}
			change, err := decide(sleeper)
			return sleeper.Tenant, change, err
		})
}

// rollout returns a command that changes how a class is released.
func (p *plugin) rollout(name, short, long string, decide func(*v1alpha1.TenantClass) answer.Change) *cobra.Command {
	return p.changing(name+" CLASS", short, long, p.completeClasses,
		func(ctx context.Context, c *cluster.Connection, name string) (client.Object, answer.Change, error) {
			class, err := c.TenantClass(ctx, name)
			if err != nil {
				return nil, answer.Change{}, err
			}
			return class, decide(class), nil
		})
}
