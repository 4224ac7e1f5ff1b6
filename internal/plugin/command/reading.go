package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/cluster"
)

// here is the end of the help of commands about one tenant.
const here = "\n\nWithout TENANT, it is about the tenant that the current namespace belongs to."

func (p *plugin) status() *cobra.Command {
	o := &output{}
	command := &cobra.Command{
		Use: "status [TENANT]", Short: "Show what a tenant consists of, and how each part is",
		Long: `Show a tenant as a tree: its parts with their conditions, the objects of each part, the pods and the database.

Without TENANT, it lists all tenants. For who may not list them, it shows the tenant that the current namespace
belongs to.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: p.completeTenants,
		RunE: func(cmd *cobra.Command, args []string) error {
			connection, err := p.connect()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				err = p.overview(cmd.Context(), connection, o)
				if !apierrors.IsForbidden(err) {
					return err
				}
				name, notHere := connection.Here(cmd.Context())
				if notHere != nil {
					return err
				}
				args = []string{name}
			}
			facts, err := connection.Facts(cmd.Context(), args[0], false)
			if err != nil {
				return err
			}
			return p.print(o, answer.Status(facts))
		},
	}
	o.add(command, "json")
	return command
}

// overview lists all tenants.
func (p *plugin) overview(ctx context.Context, connection *cluster.Connection, o *output) error {
	tenants, err := connection.Tenants(ctx)
	if err != nil {
		return err
	}
	if o.json() {
		statuses := []answer.Answer{}
		for i := range tenants {
			statuses = append(statuses, answer.Status(answer.Facts{Name: tenants[i].Name, Tenant: &tenants[i], Namespaces: tenants[i].Status.Namespaces, Now: time.Now()}))
		}
		return writeJSON(p.streams.Out, statuses)
	}
	if len(tenants) == 0 {
		return p.sentences([]string{"There are no Tenants."})
	}
	return p.painter().Table(p.streams.Out, answer.Overview(tenants, time.Now()))
}

func (p *plugin) why() *cobra.Command {
	o := &output{}
	command := p.oneTenant("why", "Say why a tenant isn't Ready",
		"Show the chain from a tenant's condition Ready to the part that it is about, the object, the pod, and the last\nEvent."+here,
		func(ctx context.Context, connection *cluster.Connection, tenant string) error {
			facts, err := connection.Facts(ctx, tenant, true)
			if err != nil {
				return err
			}
			return p.print(o, answer.Why(facts))
		})
	o.add(command, "json")
	return command
}

func (p *plugin) effective() *cobra.Command {
	o := &output{}
	command := p.oneTenant("effective", "Show which value of a tenant comes from where",
		"Show a tenant's effective spec, with the source of each value: the Tenant, its class, or the built-in default. What\nis fixed since the database is placed is marked as held."+here,
		func(ctx context.Context, connection *cluster.Connection, name string) error {
			tenant, err := connection.Tenant(ctx, name)
			if err != nil {
				return err
			}
			class, current, err := connection.Class(ctx, tenant)
			if err != nil {
				return err
			}
			made, err := answer.EffectiveOf(tenant, class, current)
			if err != nil {
				return err
			}
			if o.json() {
				return writeJSON(p.streams.Out, made)
			}
			if err := p.painter().Table(p.streams.Out, made.Table()); err != nil {
				return err
			}
			return p.sentences(made.Sentences())
		})
	o.add(command, "json")
	return command
}

func (p *plugin) namespaces() *cobra.Command {
	o := &output{}
	command := p.oneTenant("namespaces", "List a tenant's namespaces",
		"List a tenant's namespaces. Its owners may do so, who may not list all namespaces of the cluster."+here,
		func(ctx context.Context, connection *cluster.Connection, tenant string) error {
			listed, err := connection.Namespaces(ctx, tenant)
			if err != nil {
				return err
			}
			if o.json() {
				return writeJSON(p.streams.Out, listed)
			}
			if err := p.painter().Table(p.streams.Out, listed.Table()); err != nil || listed.More == "" {
				return err
			}
			return p.sentences([]string{listed.More + "."})
		})
	o.add(command, "json")
	return command
}

func (p *plugin) canILeave() *cobra.Command {
	o := &output{}
	command := p.oneTenant("can-i-leave", "Say what holds up the deletion of a tenant",
		"Say what becomes of a tenant's namespaces and its database when it is deleted, and what holds that up. If something\ndoes, the exit code is 1. Nothing is changed."+here,
		func(ctx context.Context, connection *cluster.Connection, tenant string) error {
			departure, err := connection.Departure(ctx, tenant)
			if err != nil {
				return err
			}
			said, free := answer.Leave(departure)
			if err := p.print(o, said); err != nil {
				return err
			}
			if !free {
				return &ExitError{Code: 1} // It has said why.
			}
			return nil
		})
	o.add(command, "json")
	return command
}
