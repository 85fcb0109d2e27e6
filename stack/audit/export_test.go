package audit

// SetRange sets how many ids are compared under one pair of snapshots.
func SetRange(n int) (undo func()) {
	was := rangeSize
	rangeSize = n
	return func() { rangeSize = was }
}

// Rules are those of all invariants.
func Rules() (all []string) {
	for _, inv := range invariants {
		all = append(all, inv.rule)
	}
	return all
}
