"""SACMS, the Semantic-Aware Context Management System (paper §III-C)."""
