"""Billing: periods and their close, invoices, what rounding them adds, and what they are reconciled with."""
