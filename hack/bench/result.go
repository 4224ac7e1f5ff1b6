package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// result is the content of .local/bench.json, or .local/bench-full.json. Times are in seconds. Figures of blocks are the medians of all
// blocks; Spread has the lowest and the highest.
type result struct {
	// Full says that the tenants' apps had all that an app can have.
	Full bool `json:"full"`
	// Tenants is how many tenants each side has provisioned in blocks, without those that were applied one by one.
	Tenants int `json:"tenants"`
	Blocks  int `json:"blocks"`
	// Seconds is the time from the creation of a block's first Tenant until all are Ready. FloorSeconds is the time
	// until all apps that the bare client has written are available. Ratio is the ratio of the two in a pair of
	// blocks.
	Seconds      float64 `json:"seconds"`
	FloorSeconds float64 `json:"floorSeconds"`
	Ratio        float64 `json:"ratio"`
	// CPUSeconds and FloorCPUSeconds are the CPU time of all programs together, until they are idle again.
	CPUSeconds      float64 `json:"cpuSeconds"`
	FloorCPUSeconds float64 `json:"floorCpuSeconds"`
	CPURatio        float64 `json:"cpuRatio"`
	// HalfReadyShare is the time until half of a block's tenants are Ready, as a fraction of the time until all are.
	HalfReadyShare float64           `json:"halfReadyShare"`
	Spread         map[string]spread `json:"spread"`
	// Components is the CPU time of each program.
	Components map[string]component `json:"components"`
	// OtherCores is how many cores other programs used, in the block in which they used most.
	OtherCores float64 `json:"otherCores"`
	Pairs      []pair  `json:"pairs"`

	// APIWritesPerTenant counts the operator's writes, FloorWritesPerTenant the bare client's.
	APIWritesPerTenant   float64 `json:"apiWritesPerTenant"`
	FloorWritesPerTenant float64 `json:"floorWritesPerTenant"`
	// ReconcilesPerTenant is the number of reconciles of a tenant until there is nothing left to do.
	ReconcilesPerTenant float64 `json:"reconcilesPerTenant"`
	// IdleAPIRequests and IdleSQLStatements are sent while all tenants are reconciled with nothing changed, without
	// open watches, the leader's Lease and the servers' probes.
	IdleAPIRequests   int `json:"idleApiRequests"`
	IdleSQLStatements int `json:"idleSqlStatements"`
	// RestartSeconds is the time from the operator's start until all tenants are checked.
	RestartSeconds float64 `json:"restartSeconds"`
	RestartWrites  int     `json:"restartWrites"`
	// RSSBytesPerTenant is how much the operator's resident memory grows for each tenant.
	RSSBytesPerTenant int64 `json:"rssBytesPerTenant"`
	// LatencyP50Seconds and LatencyP99Seconds are the times from the creation of one Tenant until it is Ready, with
	// all others in place and nothing else to do, over LatencySamples tenants.
	LatencySamples    int     `json:"latencySamples"`
	LatencyP50Seconds float64 `json:"latencyP50Seconds"`
	LatencyP99Seconds float64 `json:"latencyP99Seconds"`
	// LatencyGrowth is LatencyP50Seconds as a multiple of its value after the first block.
	LatencyGrowth float64 `json:"latencyGrowth"`
	// Growth is what was measured after each block.
	Growth []standing `json:"growth"`
}

// standing has the measurements with that many tenants in place.
type standing struct {
	Tenants           int   `json:"tenants"`
	RSSBytesPerTenant int64 `json:"rssBytesPerTenant"`
	// Latency is measured after the first block and after the last.
	Latency *latency `json:"latency,omitempty"`
}

// component is the CPU time of one program, for a block of each side.
type component struct {
	Operator spread `json:"operator"`
	Floor    spread `json:"floor"`
}

// spread summarizes a figure over several blocks.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// over returns the spread of a figure over all pairs of blocks.
func over(pairs []pair, figure func(pair) float64) spread {
	figures := make([]float64, len(pairs))
	for i, p := range pairs {
		figures[i] = figure(p)
	}
	return spreadOf(figures)
}

func spreadOf(figures []float64) spread {
	slices.Sort(figures)
	n := len(figures)
	return spread{Median: (figures[(n-1)/2] + figures[n/2]) / 2, Min: figures[0], Max: figures[n-1]}
}

// summarize sets the figures of the blocks.
func (r *result) summarize(pairs []pair) {
	r.Pairs = pairs
	r.Spread = map[string]spread{}
	for name, figure := range map[string]struct {
		of   func(pair) float64
		into *float64
	}{
		"seconds":         {func(p pair) float64 { return p.Operator.Seconds }, &r.Seconds},
		"floorSeconds":    {func(p pair) float64 { return p.Floor.Seconds }, &r.FloorSeconds},
		"ratio":           {func(p pair) float64 { return p.Operator.Seconds / p.Floor.Seconds }, &r.Ratio},
		"cpuSeconds":      {func(p pair) float64 { return p.Operator.CPUSeconds.total() }, &r.CPUSeconds},
		"floorCpuSeconds": {func(p pair) float64 { return p.Floor.CPUSeconds.total() }, &r.FloorCPUSeconds},
		"cpuRatio":        {func(p pair) float64 { return p.Operator.CPUSeconds.total() / p.Floor.CPUSeconds.total() }, &r.CPURatio},
		"halfReadyShare":  {func(p pair) float64 { return p.Operator.HalfSeconds / p.Operator.Seconds }, &r.HalfReadyShare},
	} {
		r.Spread[name] = over(pairs, figure.of)
		*figure.into = r.Spread[name].Median
	}
	r.Components = map[string]component{}
	for program := range pairs[0].Operator.CPUSeconds {
		r.Components[program] = component{
			Operator: over(pairs, func(p pair) float64 { return p.Operator.CPUSeconds[program] }),
			Floor:    over(pairs, func(p pair) float64 { return p.Floor.CPUSeconds[program] }),
		}
	}
	r.OtherCores = over(pairs, func(p pair) float64 { return max(p.Operator.OtherCores, p.Floor.OtherCores) }).Max
}

// noteStanding adds the measurements after a block, and sets the fields for the latest ones.
func (r *result) noteStanding(now standing) {
	r.Growth = append(r.Growth, now)
	r.RSSBytesPerTenant = now.RSSBytesPerTenant
	if now.Latency == nil {
		return
	}
	r.LatencySamples, r.LatencyP50Seconds, r.LatencyP99Seconds = now.Latency.Samples, now.Latency.P50Seconds, now.Latency.P99Seconds
	r.LatencyGrowth = now.Latency.P50Seconds / r.Growth[0].Latency.P50Seconds
}

func (r *result) print() {
	r.printBlocks()
	r.printCPU()
	r.printOthers()
	r.printGrowth()
	if r.OtherCores > quietCores {
		fmt.Printf("Other programs used up to %.2f cores of this machine meanwhile: times by the clock, ratio included, are not to be relied on.\n", r.OtherCores)
	}
}

// quietCores is how many cores other programs may use before wall-clock times mean little.
const quietCores = 0.1

func newTable(header string) *tabwriter.Writer {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, header)
	return table
}

func (r *result) printBlocks() {
	table := newTable(fmt.Sprintf("medians of %d blocks of %d tenants\tmedian\tmin\tmax\tasked\t", r.Blocks, r.Tenants/r.Blocks))
	for _, row := range []struct{ what, figure, limit string }{
		{"operator: seconds until all are Ready", "seconds", ""},
		{"floor: seconds until all apps are available", "floorSeconds", ""},
		{"ratio by the clock", "ratio", "at most 1.25"},
		{"operator: CPU seconds of all programs", "cpuSeconds", ""},
		{"floor: CPU seconds of all programs", "floorCpuSeconds", ""},
		{"ratio by CPU time", "cpuRatio", "at most 1.15"},
		{"part of the time after which half are Ready", "halfReadyShare", "at most 0.65"},
	} {
		s := r.Spread[row.figure]
		if r.Full {
			row.limit = "" // The targets are those of the other tenants.
		}
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%s\t\n", row.what, s.Median, s.Min, s.Max, row.limit)
	}
	table.Flush()
}

func (r *result) printCPU() {
	table := newTable("CPU seconds of a block\toperator\tmin\tmax\tfloor\tmin\tmax\tbeyond the floor\t")
	for _, program := range slices.Sorted(maps.Keys(r.Components)) {
		c := r.Components[program]
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%+.2f\t\n", program, c.Operator.Median, c.Operator.Min, c.Operator.Max,
			c.Floor.Median, c.Floor.Min, c.Floor.Max, c.Operator.Median-c.Floor.Median)
	}
	table.Flush()
}

func (r *result) printOthers() {
	table := newTable("\tmeasured\tasked\t")
	for _, row := range []struct{ what, value, limit string }{
		{"operator: API writes per tenant", fmt.Sprintf("%.2f", r.APIWritesPerTenant), ""},
		{"floor: API writes per tenant", fmt.Sprintf("%.2f", r.FloorWritesPerTenant), ""},
		{"API writes beyond the objects", fmt.Sprintf("%.2f", r.APIWritesPerTenant-r.FloorWritesPerTenant), "at most 2"},
		{"operator: reconciles per tenant", fmt.Sprintf("%.2f", r.ReconcilesPerTenant), ""},
		{"API requests over a resync of all", fmt.Sprint(r.IdleAPIRequests), "0"},
		{"SQL statements over a resync of all", fmt.Sprint(r.IdleSQLStatements), "0"},
		{"restart: seconds until all are checked", fmt.Sprintf("%.2f", r.RestartSeconds), ""},
		{"restart: API writes", fmt.Sprint(r.RestartWrites), "0"},
	} {
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", row.what, row.value, row.limit)
	}
	table.Flush()
}

func (r *result) printGrowth() {
	table := newTable("with so many tenants in place\tKiB of memory a tenant\tone more to Ready, p50 s\tp99 s\tits CPU ms\t")
	for _, s := range r.Growth {
		one := "\t\t"
		if l := s.Latency; l != nil {
			one = fmt.Sprintf("%.3f\t%.3f\t%.0f", l.P50Seconds, l.P99Seconds, l.CPUSeconds.total()*1e3)
		}
		fmt.Fprintf(table, "%d\t%.0f\t%s\t\n", s.Tenants, float64(s.RSSBytesPerTenant)/1024, one)
	}
	table.Flush()
}

func (r *result) write(root string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	name := "bench.json"
	if r.Full {
		name = "bench-full.json"
	}
	return os.WriteFile(filepath.Join(root, ".local", name), append(text, '\n'), 0o644)
}
