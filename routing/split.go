package routing

// split chooses between the outcomes of a rule. ends are the running sums of the weights, strictly increasing: outcome
// i is taken for a number in [ends[i-1], ends[i]).
type split struct {
	ids  []span
	ends []uint32
}

// pick maps the die onto the sum of the weights. Every weight gets its share to within 2^-32.
func (s *split) pick(die uint32) (share int, id span) {
	point := scale(die, s.ends[len(s.ends)-1])
	for point >= s.ends[share] {
		share++
	}
	return share, s.ids[share]
}

// scale maps a die, uniform over 32 bits, onto [0, n).
func scale(die, n uint32) uint32 { return uint32(uint64(die) * uint64(n) >> 32) }
