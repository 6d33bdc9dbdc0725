"""From what a source returned to quantities of charges: normalized, attributed, totalled and accounted for."""
