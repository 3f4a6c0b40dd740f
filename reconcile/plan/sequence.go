package plan

// holdFollowers makes the changes of a connection that is not enabled wait with
// the enable that precedes them. A connection that is to be paused at once is not
// enabled while its pause is held: it would take sign-ins that nobody asked for.
func holdFollowers(p *Plan) {
	for i := range p.Changes {
		first := &p.Changes[i]
		if first.Action != Enable {
			continue
		}
		rest := p.Changes[i+1:]
		for _, c := range rest {
			if c.Connection == first.Connection && c.Action == Pause && stronger(c.Gate, first.Gate) {
				first.Gate, first.Guard, first.GateWay = c.Gate, c.Guard, c.GateWay
				first.GateReason = "it is to be paused at once, and that is held: " + c.GateReason
			}
		}
		for j := range rest {
			if c := &rest[j]; c.Connection == first.Connection && c.Gate == Ready && first.Gate != Ready {
				c.Gate, c.Guard, c.GateReason, c.GateWay = first.Gate, first.Guard, "enabling comes first", first.GateWay
			}
		}
	}
}

// holdEnableBehindKeys keeps a connection from being enabled while its first keys
// are held, where Terra has no app to lend: nobody could sign in. A key of which the
// file says that nobody knows it may come back with the source.
func holdEnableBehindKeys(in Input, p *Plan) {
	for i := range p.Changes {
		first := &p.Changes[i]
		if first.Action != Enable || first.Gate != Ready || !in.Types[first.Provider].CredentialsRequired || desiredOf(in, first.Provider).UnknownKey {
			continue
		}
		for _, c := range p.Changes[i+1:] {
			if c.Connection == first.Connection && c.Action == SetCredentials && c.Gate != Ready {
				first.Gate, first.Guard, first.GateWay = c.Gate, c.Guard, c.GateWay
				first.GateReason = "Terra has no app to lend for " + c.Provider + ", so its keys come first: " + c.GateReason
				break
			}
		}
	}
}

// holdBehindKeys keeps users on Terra's app while the first keys of the own one
// are held: they would meet an app that cannot sign them in.
func holdBehindKeys(p *Plan) {
	held := map[string]Change{}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Action == SetCredentials && c.Gate != Ready {
			held[c.Connection] = *c
		}
		if keys, are := held[c.Connection]; are && c.Action == SetApp && c.Gate == Ready && target(c.Fields, FieldApp) == "own" {
			c.Gate, c.Guard, c.GateReason, c.GateWay = keys.Gate, keys.Guard, "its keys come first", keys.GateWay
		}
	}
}
