package budget

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

// randomShares returns random shares, often with small values, so that edge cases are frequent.
func randomShares(random *rand.Rand) (total int64, shares []share, m measure) {
	m = measure{unit: 1, grain: 1}
	if random.IntN(2) == 0 {
		m = measure{unit: 100 * (1 + random.Int64N(20)), grain: 100}
	}
	n := 1 + random.IntN(8)
	for range n {
		s := share{used: random.Int64N(1+random.Int64N(40)) * m.grain, growing: random.IntN(3) == 0}
		s.granted = s.used + (random.Int64N(20)-5)*m.grain
		s.granted = max(0, s.granted)
		shares = append(shares, s)
	}
	return random.Int64N(200) * m.grain, shares, m
}

// property checks a property for many random shares.
func property(t *testing.T, holds func(total int64, shares []share, m measure) error) {
	t.Helper()
	check := func(seed uint64) bool {
		total, shares, m := randomShares(rand.New(rand.NewPCG(seed, seed)))
		if err := holds(total, shares, m); err != nil {
			t.Errorf("of %d for %+v by %+v: %v", total, shares, m, err)
			return false
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 20000}); err != nil {
		t.Error(err)
	}
}

func used(shares []share) (sum int64) {
	for _, s := range shares {
		sum += s.used
	}
	return sum
}

// applied returns the shares with these grants.
func applied(shares []share, granted []int64) []share {
	result := slices.Clone(shares)
	for i := range result {
		if result[i].granted != granted[i] {
			result[i].growing = false
		}
		result[i].granted = granted[i]
	}
	return result
}

func TestASplitIsTheWholeTotalAndNeverMore(t *testing.T) {
	property(t, func(total int64, shares []share, m measure) error {
		result := split(total, shares, m)
		sum := int64(0)
		for _, granted := range result {
			if granted < 0 {
				return fmt.Errorf("%v has a negative part", result)
			}
			sum += granted
		}
		if sum != total {
			return fmt.Errorf("%v adds up to %d", result, sum)
		}
		return nil
	})
}

func TestASplitIsNeverBelowTheUseUnlessTheTotalIs(t *testing.T) {
	property(t, func(total int64, shares []share, m measure) error {
		result := split(total, shares, m)
		for i, s := range shares {
			if used(shares) <= total && result[i] < s.used {
				return fmt.Errorf("%v is below the use of number %d", result, i)
			}
			if used(shares) > total && result[i] > s.used {
				return fmt.Errorf("%v lets number %d grow while more than the total is in use", result, i)
			}
		}
		return nil
	})
}

func TestASplitSettles(t *testing.T) {
	property(t, func(total int64, shares []share, m measure) error {
		var seen [][]int64
		for range len(shares) + 2 {
			next := split(total, shares, m)
			if len(seen) > 0 && slices.Equal(next, seen[len(seen)-1]) {
				return nil
			}
			seen = append(seen, next)
			shares = applied(shares, next)
		}
		return fmt.Errorf("it becomes %v", seen)
	})
}

func TestASplitStaysWhileTheUseChangesLittle(t *testing.T) {
	property(t, func(total int64, shares []share, m measure) error {
		if total < used(shares)+4*int64(len(shares))*m.unit {
			return nil
		}
		for i := range shares {
			shares[i].granted, shares[i].growing = 0, false
		}
		first := split(total, shares, m)
		next := applied(shares, first)
		next[0].used += m.grain
		next[0].growing = true
		if again := split(total, next, m); !slices.Equal(again, first) {
			return fmt.Errorf("%v becomes %v", first, again)
		}
		return nil
	})
}

func TestASplitIsFair(t *testing.T) {
	property(t, func(total int64, shares []share, m measure) error {
		free := total - used(shares)
		n := int64(len(shares))
		if free/n < m.unit {
			return nil
		}
		result := split(total, shares, m)
		for i, s := range shares {
			if room := result[i] - s.used; room < m.unit || room < free/(4*n)-m.grain {
				return fmt.Errorf("of %d that are free, number %d has %d", free, i, room)
			}
		}
		return nil
	})
}

func TestSplits(t *testing.T) {
	pods := measure{unit: 1, grain: 1}
	for _, test := range []struct {
		name   string
		total  int64
		shares []share
		want   []int64
	}{
		{"one that is new gets half", 20, []share{{used: 2, granted: 20}, {}}, []int64{11, 9}},
		{"one that runs into its slice gets most of what others leave", 20, []share{
			{used: 4, granted: 4, growing: true}, {granted: 4}, {granted: 4}, {granted: 4}, {granted: 4},
		}, []int64{16, 1, 1, 1, 1}},
		{"and in the end all of it", 20, []share{
			{used: 16, granted: 16, growing: true}, {granted: 1}, {granted: 1}, {granted: 1}, {granted: 1},
		}, []int64{20, 0, 0, 0, 0}},
		{"also from those who use theirs", 20, []share{
			{used: 12, granted: 12, growing: true}, {used: 1, granted: 2}, {used: 1, granted: 2}, {used: 1, granted: 2}, {used: 1, granted: 2},
		}, []int64{16, 1, 1, 1, 1}},
		{"two that do share", 20, []share{
			{used: 6, granted: 6, growing: true}, {used: 4, granted: 4, growing: true}, {granted: 10},
		}, []int64{11, 8, 1}},
		{"it flows back when the use falls", 20, []share{{used: 5, granted: 20}, {}, {}, {}, {}}, []int64{8, 3, 3, 3, 3}},
		{"too little to divide stays where it is", 20, []share{{used: 17, granted: 20}, {}, {}, {}, {}}, []int64{20, 0, 0, 0, 0}},
		{"a total below the use", 10, []share{{used: 8, granted: 12}, {used: 7, granted: 8}}, []int64{8, 2}},
		{"and once more", 10, []share{{used: 8, granted: 8}, {used: 7, granted: 2}}, []int64{8, 2}},
		{"a total below the use, which falls", 10, []share{{used: 5, granted: 8}, {used: 7, granted: 2}}, []int64{5, 5}},
		{"nothing", 0, []share{{}, {}}, []int64{0, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := split(test.total, test.shares, pods); !slices.Equal(got, test.want) {
				t.Errorf("it is %v, want %v", got, test.want)
			}
		})
	}
}
