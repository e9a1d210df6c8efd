INSERT INTO budget (scope, subject, period, allowed, alerts) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope, subject, period) DO UPDATE SET allowed = excluded.allowed, alerts = excluded.alerts
