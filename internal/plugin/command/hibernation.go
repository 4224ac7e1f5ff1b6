package command

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/internal/plugin/answer"
)

func (p *plugin) hibernate() *cobra.Command {
	return p.sleeping("hibernate", "Put a tenant to sleep until it is woken", `Set spec.hibernation.suspended of a Tenant to true, and remove wakeUntil: its app has no pods and its database no logins
until the tenant is woken, also when a schedule would wake it. Its data stays. A tenant that is to sleep at certain times
has spec.hibernation.schedules.

What manages the Tenant from elsewhere, such as GitOps, may set it back.`, answer.Hibernate)
}

// leastAwake is the shortest time for which it makes sense to wake a tenant.
const leastAwake = time.Minute

func (p *plugin) wake() *cobra.Command {
	lasting := time.Duration(0)
	command := p.sleeping("wake", "Wake a tenant that sleeps, or keep one awake", `Set spec.hibernation.suspended of a Tenant to false. If a schedule would have it sleep now, it stays awake for 8 hours.

With --for, set spec.hibernation.wakeUntil instead: the tenant is awake for that long from now on, and sleeps again after
that if it otherwise would, because it is suspended or by a schedule.

What manages the Tenant from elsewhere, such as GitOps, may set it back.`, func(s answer.Sleeper) (answer.Change, error) {
		return answer.Wake(s, lasting)
	})
	command.Example = `  kubectl tenantry wake acme
  kubectl tenantry wake acme --for 2h`
	command.Flags().DurationVar(&lasting, "for", 0, "How long the tenant is to be awake from now on, such as 2h or 90m. Left out, it is until the tenant is put to sleep, or 8h if a schedule would have it sleep now.")
	command.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("for") && lasting < leastAwake {
			return errors.New("--for must be 1m or longer, such as 2h")
		}
		return nil
	}
	return command
}
