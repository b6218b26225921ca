package routing

// split chooses between the outcomes of a rule. Its shares are Table.shares[from:to]; a rule without a split has none.
type split struct{ from, to int32 }

// share is one outcome of a split. end is the sum of the weights up to and including its own: the share is chosen for
// numbers from the end of the share before up to, but not including, its own end.
type share struct {
	id  span
	end uint32
}

// pick maps the die onto the sum of the weights, and returns the index of the chosen share in the split and its
// outcome. Every share is chosen with its probability to within 2^-32.
func (s split) pick(shares *rows[share], die uint32) (number int, id span) {
	point := scale(die, shares.at(s.to-1).end)
	i := s.from
	for point >= shares.at(i).end {
		i++
	}
	return int(i - s.from), shares.at(i).id
}

// scale maps a die, uniform over 32 bits, onto [0, n).
func scale(die, n uint32) uint32 { return uint32(uint64(die) * uint64(n) >> 32) }
