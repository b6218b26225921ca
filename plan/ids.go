package plan

import "fmt"

// CheckIDs returns an error that names both rules if two outcomes with different content have the same id.
func (p *Plan) CheckIDs() error {
	type owner struct {
		rule *Rule
		sum  [32]byte
	}
	seen := map[string]owner{}
	for r := range p.Rules() {
		for _, o := range r.Outcomes {
			if other, ok := seen[o.ID]; ok && other.sum != o.sum {
				return fmt.Errorf("rules %s and %s have an outcome with the same id %s; rename one of the resources", other.rule.String(), r.String(), o.ID)
			}
			seen[o.ID] = owner{r, o.sum}
		}
	}
	return nil
}
