package budget

import "slices"

// share is the part of one resource that one namespace has.
type share struct {
	// used is in use; granted is what it may use.
	used, granted int64
	// growing says that its use has grown since the last grant.
	growing bool
}

func (s share) slack() int64 { return s.granted - s.used }

// measure says in which steps a resource is granted.
type measure struct {
	// unit is the size of a typical request; grain is the smallest step.
	unit, grain int64
}

// split divides a total among shares. Each gets what it uses and an equal part of what is free, except that half
// of what is free goes to those that are growing, if there are any. If less than a unit for each is free, all of
// it goes to those that are growing, and if none are, it stays where it is. A split in which nobody is short stays
// as it is.
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

// isShort reports whether a share has so little room, compared with the room that it should have and with an equal
// part of what is free, that a new split is worth its writes. A growing share must reach its limit first: if the
// limit is raised while some requests are admitted and others refused, the API server may count some of the
// refused ones, too.
func isShort(s share, room, equal int64, m measure) bool {
	if s.growing {
		return s.slack() < min(m.unit, room)
	}
	return equal >= m.unit && s.slack() < max(m.unit, equal/4)
}

// headrooms returns the part of what is free that each share gets.
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

// leave keeps what is free where it is, as far as possible.
func leave(free int64, shares []share) []int64 {
	rooms := make([]int64, len(shares))
	for i, s := range shares {
		rooms[i] = min(max(0, s.slack()), free)
		free -= rooms[i]
	}
	// What nobody has goes to the share in use with the least room.
	neediest := 0
	for i, s := range shares {
		if s.used > 0 && (shares[neediest].used == 0 || rooms[i] < rooms[neediest]) {
			neediest = i
		}
	}
	rooms[neediest] += free
	return rooms
}

// spread divides an amount equally among some of the shares. The remainder goes to those that have the least room
// now.
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

// splitOverused divides a total that is less than what is in use. Nobody has room, and the last ones have less
// than they use, which keeps them from growing but stops nothing that runs.
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
