package main

import "testing"

func TestOfBlocksTheMedianCounts(t *testing.T) {
	seconds := func(p pair) float64 { return p.Operator.Seconds }
	for _, test := range []struct {
		name   string
		blocks []float64
		want   spread
	}{
		{"one", []float64{7}, spread{Median: 7, Min: 7, Max: 7}},
		{"an odd number", []float64{9, 1, 2}, spread{Median: 2, Min: 1, Max: 9}},
		{"an even number", []float64{9, 1, 2, 4}, spread{Median: 3, Min: 1, Max: 9}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var pairs []pair
			for _, took := range test.blocks {
				pairs = append(pairs, pair{Operator: block{Seconds: took}})
			}
			if got := over(pairs, seconds); got != test.want {
				t.Errorf("it is %v, want %v", got, test.want)
			}
		})
	}
}

func TestRatiosCompareABlockWithTheFloorsOfTheSamePair(t *testing.T) {
	pairs := make([]pair, 3)
	for i := range pairs {
		// On a machine that gets slower.
		slowness := float64(i + 1)
		pairs[i] = pair{
			Operator: block{Seconds: 10 * slowness, HalfSeconds: 6 * slowness, CPUSeconds: usage{"etcd": 3, "operator": 3}},
			Floor:    block{Seconds: 8 * slowness, CPUSeconds: usage{"etcd": 4}},
		}
	}
	var r result
	r.summarize(pairs)
	even := func(figure float64) spread { return spread{Median: figure, Min: figure, Max: figure} }
	for name, want := range map[string]spread{
		"seconds": {Median: 20, Min: 10, Max: 30}, "ratio": even(1.25), "cpuRatio": even(1.5), "halfReadyShare": even(0.6),
	} {
		if got := r.Spread[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if r.Ratio != 1.25 || r.CPURatio != 1.5 || r.HalfReadyShare != 0.6 {
		t.Errorf("the medians are %v, %v and %v, want 1.25, 1.5 and 0.6", r.Ratio, r.CPURatio, r.HalfReadyShare)
	}
	if got := r.Components["operator"]; got.Operator != even(3) || got.Floor != even(0) {
		t.Errorf("the operator took %v, want 3 s where there is one and 0 where there is none", got)
	}
}

func TestWhatGrowsIsComparedWithTheFirstBlock(t *testing.T) {
	r := result{}
	r.noteStanding(standing{Tenants: 200, RSSBytesPerTenant: 5, Latency: &latency{Samples: 50, P50Seconds: 0.25}})
	r.noteStanding(standing{Tenants: 450, RSSBytesPerTenant: 4})
	r.noteStanding(standing{Tenants: 650, RSSBytesPerTenant: 3, Latency: &latency{Samples: 50, P50Seconds: 0.5}})
	if r.LatencyGrowth != 2 || r.LatencyP50Seconds != 0.5 || r.RSSBytesPerTenant != 3 {
		t.Errorf("with all in place it is %v s, %v times as much as at first, and %d bytes; want 0.5, 2 and 3",
			r.LatencyP50Seconds, r.LatencyGrowth, r.RSSBytesPerTenant)
	}
}

func TestUsageIsCountedFromAReading(t *testing.T) {
	before := usage{"etcd": 1, "kwok": 2}
	used := usage{"etcd": 3, "kwok": 2.5}.since(before)
	if used["etcd"] != 2 || used["kwok"] != 0.5 || used.total() != 2.5 {
		t.Errorf("it is %v, %v in all; want 2 and 0.5", used, used.total())
	}
	own, err := ownUsage()
	if err != nil || own <= 0 {
		t.Errorf("this program took %v s of CPU time (%v)", own, err)
	}
	if machine, err := machineUsage(); err != nil || machine < own {
		t.Errorf("all of the machine took %v s, less than this program alone, %v s (%v)", machine, own, err)
	}
}
