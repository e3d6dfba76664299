"""Does a face show what its words say? What may be asked, who answers, how answers are counted."""
