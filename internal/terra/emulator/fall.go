package emulator

import "time"

// lifetimeOf is how long an access token of a provider lives. Where that is not
// published it is a day: what is wrong stays unseen the longer.
func (p *pairs) lifetimeOf(provider string) time.Duration {
	if p.TokenLifetime > 0 {
		return time.Duration(p.TokenLifetime)
	}
	switch provider {
	case "strava":
		return 6 * time.Hour
	case "huawei", "whoop":
		return time.Hour
	}
	return 24 * time.Hour
}

// settle does to the end users what time did since the last look: their access
// tokens run out one after the other, evenly over a lifetime, and with a wrong
// pair no new one can be fetched. A pair that died with its overlap has been
// wrong since then.
func (s *Server) settle() {
	s.watch(func(died time.Time) time.Time { return died })
}

// turn is settle after something was changed: what became wrong with that is
// wrong from now on, however long ago the pair died.
func (s *Server) turn() {
	s.watch(func(time.Time) time.Time { return s.now() })
}

// watch brings the end users up to date; began says since when a pair that died
// at a time is wrong for its source.
func (s *Server) watch(began func(died time.Time) time.Time) {
	for provider, p := range s.account.Pairs {
		for _, e := range s.account.Environments {
			src, ok := e.Sources[provider]
			if !ok {
				continue
			}
			active, wrong := src.Active, src.WrongSince
			if died, refused := s.refused(e, provider, p, src); !refused {
				src.right(p.UsersReturn)
			} else {
				if wrong.IsZero() {
					src.WrongSince = began(died)
				}
				src.fall(s.now().Sub(src.WrongSince), p.lifetimeOf(provider))
			}
			if src.Active != active || !src.WrongSince.Equal(wrong) {
				s.revision++
			}
		}
	}
}

// refused reports whether the end users of a source get no new tokens with its
// own app, and since when: since now unless the pair died.
func (s *Server) refused(e *environment, provider string, p *pairs, src *source) (since time.Time, refused bool) {
	t, _ := s.sourceType(e, provider)
	if !ownInUse(t, src) {
		return time.Time{}, false
	}
	id, secret := src.Credential.ClientID, s.secretOf(src.Credential)
	if src.UsersOf == "" && src.Active > 0 {
		src.UsersOf = id
	}
	at, known := p.dies(id, secret)
	switch {
	case known && !at.IsZero() && !s.now().Before(at):
		return at, true
	case !known || src.UsersOf != "" && src.UsersOf != id:
		return s.now(), true
	}
	return time.Time{}, false
}

// right ends what was wrong.
func (s *source) right(usersReturn bool) {
	if usersReturn {
		s.Active, s.Inactive = s.Active+s.Fallen, s.Inactive-s.Fallen
	}
	s.WrongSince, s.Fallen = time.Time{}, 0
}

// fall makes users inactive, the last one first, until as many fell as the time
// asks for: all of them after one lifetime.
func (s *source) fall(passed, lifetime time.Duration) {
	users := s.Active + s.Fallen
	fallen := users
	if passed < lifetime {
		fallen = int(float64(users) * (float64(passed) / float64(lifetime)))
	}
	more := max(fallen-s.Fallen, 0)
	s.Active, s.Inactive, s.Fallen = s.Active-more, s.Inactive+more, s.Fallen+more
}
