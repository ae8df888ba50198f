"""Attendances that a clerk proposes and a second one decides on."""
