SELECT scope, subject, period, allowed, alerts
FROM budget
ORDER BY scope, period, subject
