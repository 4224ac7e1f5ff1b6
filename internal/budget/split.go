package budget

import "slices"

// share is what one namespace has of one resource.
type share struct {
	// used is in use; granted is what it may use.
	used, granted int64
	// growing says that its use has grown since it was last given something.
	growing bool
}

func (s share) slack() int64 { return s.granted - s.used }

// measure says in which portions a resource is given away.
type measure struct {
	// unit is what a typical next request asks for; grain is the finest step.
	unit, grain int64
}

// split divides a total among shares that all may use some of it. Each gets what it uses and part of
// what is free: an equal one, or, where some are growing, half of it goes to these. When less than
// a unit for each is free, all of it goes to those who are growing, and otherwise stays where it is.
// A split that nobody is short by stays as it is.
func split(total int64, shares []share, m measure) []int64 {
	free := total
	for _, s := range shares {
		free -= s.used
	}
	if free < 0 {
		return splitOverused(total, shares)
	}
	rooms := headrooms(free, shares, m)
	result := make([]int64, len(shares))
	settled := isWhole(total, shares)
	for i, s := range shares {
		result[i] = s.used + rooms[i]
		settled = settled && !isShort(s, rooms[i], free/int64(len(shares)), m)
	}
	if settled {
		for i, s := range shares {
			result[i] = s.granted
		}
	}
	return result
}

// isWhole reports whether the shares add up to the total, and none is below its use.
func isWhole(total int64, shares []share) bool {
	for _, s := range shares {
		if s.granted < s.used {
			return false
		}
		total -= s.granted
	}
	return total == 0
}

// isShort reports whether a share has so little room, against the room that it should have and the
// equal part of all that is free, that a new split is worth its writes. One that grows has to run into
// its limit first: where the limit is raised while requests are let in beside others that are refused,
// the API server may count some of the refused ones, too.
func isShort(s share, room, equal int64, m measure) bool {
	if s.growing {
		return s.slack() < min(m.unit, room)
	}
	return equal >= m.unit && s.slack() < max(m.unit, equal/4)
}

// headrooms divide what is free.
func headrooms(free int64, shares []share, m measure) []int64 {
	n, growing := int64(len(shares)), int64(0)
	for _, s := range shares {
		if s.growing {
			growing++
		}
	}
	scarce := free/n < m.unit
	low := int64(0)
	switch {
	case growing == 0 && scarce:
		return leave(free, shares)
	case growing == 0 || growing == n:
		return spread(free, shares, m.grain, func(share) bool { return true })
	case !scarce:
		low = max(m.unit, free/(2*n)/m.grain*m.grain)
	}
	rooms := spread(free-low*(n-growing), shares, m.grain, func(s share) bool { return s.growing })
	for i, s := range shares {
		if !s.growing {
			rooms[i] = low
		}
	}
	return rooms
}

// leave lets what is free stay where it is, as far as that goes.
func leave(free int64, shares []share) []int64 {
	rooms := make([]int64, len(shares))
	for i, s := range shares {
		rooms[i] = min(max(0, s.slack()), free)
		free -= rooms[i]
	}
	// What nobody has goes to the one that could do least without.
	neediest := 0
	for i, s := range shares {
		if s.used > 0 && (shares[neediest].used == 0 || rooms[i] < rooms[neediest]) {
			neediest = i
		}
	}
	rooms[neediest] += free
	return rooms
}

// spread divides an amount equally among some. What doesn't come out even goes to those that have
// least room now.
func spread(amount int64, shares []share, grain int64, among func(share) bool) []int64 {
	rooms := make([]int64, len(shares))
	var chosen []int
	for i, s := range shares {
		if among(s) {
			chosen = append(chosen, i)
		}
	}
	each := amount / int64(len(chosen)) / grain * grain
	rest := amount - each*int64(len(chosen))
	slices.SortStableFunc(chosen, func(a, b int) int { return int(min(1, max(-1, shares[a].slack()-shares[b].slack()))) })
	for _, i := range chosen {
		extra := min(grain, rest)
		rooms[i] = each + extra
		rest -= extra
	}
	return rooms
}

// splitOverused divides a total that is less than what is in use: nobody has room, and those at the
// end have less than they use, which stops nothing but their growth.
func splitOverused(total int64, shares []share) []int64 {
	result := make([]int64, len(shares))
	left, settled := total, true
	for i, s := range shares {
		result[i] = s.granted
		left -= s.granted
		settled = settled && s.granted <= s.used
	}
	if settled && left == 0 {
		return result
	}
	left = total
	for i, s := range shares {
		result[i] = min(s.used, left)
		left -= result[i]
	}
	return result
}
