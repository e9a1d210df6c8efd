package ledger

// Trial is what a request had to do with an experiment.
type Trial struct {
	// Experiment is its name, Run which life of it: another definition under the
	// same name is another run.
	Experiment string
	Run        int64
	// Arm is what the request was given, whatever became of it then.
	Arm string
	// Unit is the hash of the session, user or key that the arm belongs to.
	Unit int64
	// Shares are the chances that the unit had of each arm, in their order.
	Shares []float64
	// Predicted is the success that the router foretold before the arm was given;
	// 0 when it foretold nothing.
	Predicted float64
	// Shadows is the request that this one is a copy of, for another arm; 0 for
	// the requests of clients.
	Shadows ID
}

const maxShares = 16

// settle cuts what is too long.
func (t *Trial) settle() {
	t.Experiment, t.Arm = cut(t.Experiment, maxName), cut(t.Arm, maxName)
	t.Shares = t.Shares[:min(len(t.Shares), maxShares)]
}

func (t *Trial) copy() *Trial {
	if t == nil {
		return nil
	}
	c := *t
	return &c
}
