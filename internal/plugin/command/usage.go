package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/cluster"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// billing is what kubectl tenantry usage is told about an interval.
type billing struct {
	from, to           string
	prometheus, prices string
	match              string
}

func (p *plugin) usage() *cobra.Command {
	o, b := &output{}, &billing{}
	command := &cobra.Command{
		Use: "usage", Short: "Show how much of their quota all tenants use, or what they have used in an interval",
		Long: `Show how much of their quota all tenants use, in a table with bars. JSON and CSV have all entries of the quotas.

With --from, show what tenants have used in an interval, as a Prometheus that scrapes the operator has counted it: the
cores, memory and storage that they have requested, and the size of their databases, by tenant and class. JSON and CSV
have the columns of FOCUS, the FinOps Open Cost and Usage Specification, and costs only by the prices in a file.`,
		Example: `  kubectl tenantry usage
  kubectl tenantry usage --from 30d --prometheus monitoring/prometheus:9090
  kubectl tenantry usage --from 2026-10-01 --to 2026-11-01 --prometheus http://localhost:9090 --prices prices.yaml -o csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.from != "" {
				return p.bill(cmd.Context(), b, o)
			}
			for _, name := range []string{"to", "prometheus", "prices", "match"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s is about an interval; write --from, too, such as --from 30d", name)
				}
			}
			return p.quotas(cmd.Context(), o)
		},
	}
	flags := command.Flags()
	flags.StringVar(&b.from, "from", "", "When the interval begins: how far back from now (30d, 12h), a date (UTC) or a time of RFC 3339.")
	flags.StringVar(&b.to, "to", "", "When the interval ends. Left out, it is now.")
	flags.StringVar(&b.prometheus, "prometheus", "", "The Prometheus that scrapes the operator: its URL, or NAMESPACE/SERVICE:PORT to go through the API server.")
	flags.StringVar(&b.prices, "prices", "", "A file with prices. Left out, there are no costs.")
	flags.StringVar(&b.match, "match", "", `Further matchers of the series, such as cluster="eu-1" for a Prometheus that has several clusters.`)
	o.add(command, "json", "csv")
	return command
}

// quotas shows how much of their quota all tenants use.
func (p *plugin) quotas(ctx context.Context, o *output) error {
	connection, err := p.connect()
	if err != nil {
		return err
	}
	tenants, err := connection.Tenants(ctx)
	switch {
	case err != nil:
		return err
	case o.json():
		return writeJSON(p.streams.Out, answer.UsageOf(tenants))
	case o.format == "csv":
		return answer.WriteCSV(p.streams.Out, answer.UsageOf(tenants))
	}
	return p.painter().Table(p.streams.Out, answer.UsageTable(tenants))
}

// bill shows what tenants have used in an interval.
func (p *plugin) bill(ctx context.Context, b *billing, o *output) error {
	interval, err := answer.IntervalOf(b.from, b.to, time.Now())
	if err != nil {
		return err
	}
	if b.prometheus == "" {
		return errors.New("--from needs a Prometheus that scrapes the operator: write --prometheus with its URL, or NAMESPACE/SERVICE:PORT to go through the API server")
	}
	prices, err := readPrices(b.prices)
	if err != nil {
		return err
	}
	prometheus, err := cluster.ConnectPrometheus(b.prometheus, b.match, p.connect)
	if err != nil {
		return err
	}
	consumption, err := prometheus.Consumption(ctx, interval)
	if err != nil {
		return err
	}
	consumption.Prices = prices
	return p.printConsumption(o, consumption)
}

// printConsumption writes what to know about an export where it isn't taken for a part of it.
func (p *plugin) printConsumption(o *output, consumption *answer.Consumption) error {
	var err error
	switch o.format {
	case "json":
		err = writeJSON(p.streams.Out, consumption.Charges())
	case "csv":
		err = consumption.WriteCSV(p.streams.Out)
	default:
		if err := p.painter().Table(p.streams.Out, consumption.Table()); err != nil {
			return err
		}
		return p.sentences(consumption.Sentences())
	}
	if sentences := consumption.Sentences(); err == nil && len(sentences) > 0 {
		_, err = io.WriteString(p.streams.ErrOut, view.Clean(strings.Join(sentences, " "))+"\n")
	}
	return err
}

// readPrices reads a file with prices; without one, it returns nil.
func readPrices(file string) (*answer.Prices, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file) //nolint:gosec // The user names the file.
	if err != nil {
		return nil, err
	}
	prices, err := answer.ParsePrices(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return prices, nil
}
