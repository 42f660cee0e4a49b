"""WHO IS STUDIED: tables of cases and their outcomes, and who is in which fold."""
